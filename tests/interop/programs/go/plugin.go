// A service and a client as go-micro's ZooKeeper plugin makes them: its znodes, its JSON, its calls in their order.
//
// The plugin itself needs modules that Debian does not package. The library below it is the one that the plugin was
// written on, or its twin.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"strings"
	"time"

	"github.com/samuel/go-zookeeper/zk"
)

const prefix = "/micro-registry"

// Value is the shape of a value, Endpoint a procedure, Service what a leaf holds: JSON members in go-micro's order. The
// node differs by version, so it is kept as it came.
type Value struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Values []*Value `json:"values"`
}

type Endpoint struct {
	Name     string            `json:"name"`
	Request  *Value            `json:"request"`
	Response *Value            `json:"response"`
	Metadata map[string]string `json:"metadata"`
}

type Service struct {
	Name      string            `json:"name"`
	Version   string            `json:"version"`
	Metadata  map[string]string `json:"metadata"`
	Endpoints []*Endpoint       `json:"endpoints"`
	Nodes     []interface{}     `json:"nodes"`
}

// Node has the members of all versions, for reading.
type Node struct {
	ID       string            `json:"id"`
	Address  string            `json:"address"`
	Port     int               `json:"port"`
	Metadata map[string]string `json:"metadata"`
}

// Node1 is written by version 1.0, Node2 by 1.18 and 2, Node4 by 4 and 5.
type Node1 struct {
	ID       string            `json:"id"`
	Address  string            `json:"address"`
	Port     int               `json:"port"`
	Metadata map[string]string `json:"metadata"`
}

type Node2 struct {
	ID       string            `json:"id"`
	Address  string            `json:"address"`
	Metadata map[string]string `json:"metadata"`
}

type Node4 struct {
	Metadata map[string]string `json:"metadata"`
	ID       string            `json:"id"`
	Address  string            `json:"address"`
}

// wish is what the test asks to be registered: by which version, and the service with one node.
type wish struct {
	By      int
	Service Service
	Node    Node
}

func (w wish) service() *Service {
	service := w.Service
	switch w.By {
	case 1:
		service.Nodes = []interface{}{Node1{w.Node.ID, w.Node.Address, w.Node.Port, w.Node.Metadata}}
	case 2:
		service.Nodes = []interface{}{Node2{w.Node.ID, w.Node.Address, w.Node.Metadata}}
	default:
		service.Nodes = []interface{}{Node4{w.Node.Metadata, w.Node.ID, w.Node.Address}}
	}
	return &service
}

func escaped(name string) string {
	return strings.ReplaceAll(name, "/", "-")
}

func dirOf(service string) string {
	return path.Join(prefix, escaped(service))
}

func leafOf(service, id string) string {
	return path.Join(prefix, escaped(service), escaped(id))
}

type registry struct {
	client *zk.Conn
	// What was registered last, by the name of its service alone: the same again is skipped.
	last map[string]string
}

// createAll makes a znode and all above it, each of them persistent and open, asking before whether it is there.
func (r *registry) createAll(name string, data []byte) error {
	parts := strings.Split(strings.TrimPrefix(name, "/"), "/")
	for i := range parts {
		at := "/" + strings.Join(parts[:i+1], "/")
		content := []byte{}
		if i == len(parts)-1 {
			content = data
		}
		if there, _, _ := r.client.Exists(at); there {
			continue
		}
		if _, err := r.client.Create(at, content, 0, zk.WorldACL(zk.PermAll)); err != nil {
			return err
		}
	}
	return nil
}

func (r *registry) register(w wish) (string, error) {
	service := w.service()
	data := asJSON(service)
	if r.last[service.Name] == data {
		return "skipped", nil
	}
	at := leafOf(service.Name, w.Node.ID)
	there, _, err := r.client.Exists(at)
	if err != nil {
		return "", err
	}
	done := "created"
	if there {
		done = "set"
		_, err = r.client.Set(at, []byte(data), -1)
	} else {
		err = r.createAll(at, []byte(data))
	}
	if err == nil {
		r.last[service.Name] = data
	}
	return done, err
}

func (r *registry) deregister(name, id string) error {
	delete(r.last, name)
	return r.client.Delete(leafOf(name, id), -1)
}

// found is a service as the plugin's readers see it.
type found struct {
	Name      string            `json:"name"`
	Version   string            `json:"version"`
	Metadata  map[string]string `json:"metadata"`
	Endpoints []*Endpoint       `json:"endpoints"`
	Nodes     []*Node           `json:"nodes"`
}

func (r *registry) read(at string) (*found, error) {
	data, _, err := r.client.Get(at)
	if err != nil {
		return nil, err
	}
	var service found
	return &service, json.Unmarshal(data, &service)
}

// leaves reads every child of a directory that has none itself.
func (r *registry) leaves(service string) ([]*found, error) {
	names, _, err := r.client.Children(dirOf(service))
	if err != nil {
		return nil, err
	}
	var all []*found
	for _, name := range names {
		_, stat, err := r.client.Children(leafOf(service, name))
		if err != nil {
			return nil, err
		}
		if stat.NumChildren > 0 {
			continue
		}
		one, err := r.read(leafOf(service, name))
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// get groups a service's leaves by version.
func (r *registry) get(service string) (map[string]*found, error) {
	all, err := r.leaves(service)
	byVersion := map[string]*found{}
	for _, one := range all {
		if first, ok := byVersion[one.Version]; ok {
			first.Nodes = append(first.Nodes, one.Nodes...)
		} else {
			byVersion[one.Version] = one
		}
	}
	return byVersion, err
}

// list names the services that have leaves, each by the name in a leaf.
func (r *registry) list() ([]string, error) {
	dirs, _, err := r.client.Children(prefix)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, dir := range dirs {
		all, err := r.leaves(dir)
		if err != nil {
			return nil, err
		}
		if len(all) > 0 {
			names = append(names, all[len(all)-1].Name)
		}
	}
	return names, nil
}

// watch tells what the plugin's watcher yields: after each change of the children an override with the first that can be
// read, then each of them as created; a creation of nothing when none is left.
func (r *registry) watch(service string) {
	at := dirOf(service)
	for {
		names, _, changed, err := r.client.ChildrenW(at)
		if err != nil {
			tell("error " + err.Error())
			return
		}
		first := true
		for _, name := range names {
			one, err := r.read(path.Join(at, name))
			if err != nil {
				continue
			}
			if first {
				tell("override " + asJSON(one))
				first = false
			}
			tell("create " + asJSON(one))
		}
		if len(names) == 0 {
			tell("create null")
		}
		tell("all told")
		for event := range changed {
			if event.Type == zk.EventNodeChildrenChanged {
				break
			}
		}
	}
}

// serve answers every connection with where and when, until the process ends.
func serve(address string) (string, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	here := listener.Addr().String()
	go func() {
		for {
			stream, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer stream.Close()
				buffer := make([]byte, 64)
				if _, err := stream.Read(buffer); err == nil || err == io.EOF {
					fmt.Fprintf(stream, "%s:%s", here, time.Now().Format(time.RFC3339Nano))
				}
			}()
		}
	}()
	return here, nil
}

func (r *registry) answer(verb, rest string) (string, error) {
	words := strings.Fields(rest)
	switch verb {
	case "serve":
		return serve(rest)
	case "register":
		var w wish
		if err := json.Unmarshal([]byte(rest), &w); err != nil {
			return "", err
		}
		return r.register(w)
	case "deregister":
		return "deregistered", r.deregister(words[0], words[1])
	case "get":
		services, err := r.get(rest)
		return asJSON(services), err
	case "list":
		names, err := r.list()
		return asJSON(names), err
	case "watch":
		go r.watch(rest)
		return "watching", nil
	}
	return "", errors.New("no such request: " + verb)
}

func main() {
	r := &registry{connect(), map[string]string{}}
	if err := r.createAll(prefix, []byte{}); err != nil && err != zk.ErrNodeExists {
		panic(err)
	}
	answerLines(r.answer)
}
