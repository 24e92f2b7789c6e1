// The demo of an article about service discovery in Go: servers that write their address as the name of a persistent, empty
// znode below /go_servers, and a client that lists them, picks one at random, sends `timestamp` and reads `host:time`.
package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"time"

	"github.com/samuel/go-zookeeper/zk"
)

const root = "/go_servers"

// create makes a persistent, empty znode unless it is there.
func create(client *zk.Conn, path string) error {
	there, _, err := client.Exists(path)
	if err != nil || there {
		return err
	}
	_, err = client.Create(path, []byte(""), 0, zk.WorldACL(zk.PermAll))
	return err
}

// serve registers a server that answers until the process ends.
func serve(client *zk.Conn) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	host := listener.Addr().String()
	go func() {
		for {
			stream, err := listener.Accept()
			if err != nil {
				return
			}
			go reply(stream, host)
		}
	}()
	if err := create(client, root); err != nil && err != zk.ErrNodeExists {
		return "", err
	}
	return host, create(client, root+"/"+host)
}

func reply(stream net.Conn, host string) {
	defer stream.Close()
	buffer := make([]byte, 64)
	n, err := stream.Read(buffer)
	if err == nil && string(buffer[:n]) == "timestamp" {
		fmt.Fprintf(stream, "%s:%s", host, time.Now().Format(time.RFC3339Nano))
	}
}

// call asks one of the servers, any of them.
func call(client *zk.Conn) (string, error) {
	servers, _, err := client.Children(root)
	if err != nil {
		return "", err
	}
	if len(servers) == 0 {
		return "", errors.New("there is no server")
	}
	stream, err := net.DialTimeout("tcp", servers[rand.Intn(len(servers))], 5*time.Second)
	if err != nil {
		return "", err
	}
	defer stream.Close()
	if _, err := stream.Write([]byte("timestamp")); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(stream)
	return string(answer), err
}

func main() {
	rand.Seed(time.Now().UnixNano())
	client := connect()
	answerLines(func(verb, rest string) (string, error) {
		switch verb {
		case "serve":
			return serve(client)
		case "call":
			return call(client)
		case "servers":
			servers, _, err := client.Children(root)
			return asJSON(servers), err
		}
		return "", errors.New("no such request: " + verb)
	})
}
