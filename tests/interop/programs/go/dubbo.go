// Dubbo's two registries as dubbo-go makes its calls: leaves named by a URL, as url.QueryEscape encodes it, and instances of
// applications with fewer members than Java writes. dubbo-go needs modules that Debian does not package.
package main

import (
	"errors"
	"net/url"
	"sort"
	"strings"

	"github.com/samuel/go-zookeeper/zk"
)

// Instance is what a leaf of an application holds, Payload what is nested in it: JSON members in dubbo-go's order.
type Instance struct {
	Name    string  `json:"name"`
	ID      string  `json:"id"`
	Address string  `json:"address"`
	Port    int     `json:"port"`
	Payload Payload `json:"payload"`
	Time    int64   `json:"registrationTimeUTC,omitempty"`
	Tag     string  `json:"tag"`
}

type Payload struct {
	Class    string            `json:"@class"`
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Metadata map[string]string `json:"metadata"`
}

// create makes an ephemeral leaf in persistent directories; one that is there is replaced.
func create(client *zk.Conn, path string, data []byte) error {
	acl := zk.WorldACL(zk.PermAll)
	for at, c := range path {
		if c != '/' || at == 0 {
			continue
		}
		if _, err := client.Create(path[:at], []byte{}, 0, acl); err != nil && err != zk.ErrNodeExists {
			return err
		}
	}
	_, err := client.Create(path, data, zk.FlagEphemeral, acl)
	if err == zk.ErrNodeExists {
		if err = client.Delete(path, -1); err == nil {
			_, err = client.Create(path, data, zk.FlagEphemeral, acl)
		}
	}
	return err
}

// subscribe tells the URLs in a directory, and again whenever its children have changed.
func subscribe(client *zk.Conn, dir string) {
	for {
		names, _, changed, err := client.ChildrenW(dir)
		if err != nil {
			tell("error " + err.Error())
			return
		}
		urls := []string{}
		for _, name := range names {
			if decoded, err := url.QueryUnescape(name); err == nil {
				urls = append(urls, decoded)
			}
		}
		sort.Strings(urls)
		tell(strings.Join(urls, " "))
		<-changed
	}
}

func main() {
	client := connect()
	answerLines(func(verb, rest string) (string, error) {
		words := strings.Split(rest, " ")
		switch verb {
		case "provide":
			path := words[0] + "/" + url.QueryEscape(words[1])
			return path, create(client, path, []byte(""))
		case "announce":
			// The root, the application and the address, with a revision.
			host, port := words[2][:strings.LastIndex(words[2], ":")], 20880
			class := "org.apache.dubbo.registry.zookeeper.ZookeeperInstance"
			metadata := map[string]string{
				"dubbo.endpoints":             `[{"port":20880,"protocol":"dubbo"}]`,
				"dubbo.metadata.revision":     words[3],
				"dubbo.metadata.storage-type": "local",
			}
			instance := Instance{
				Name: words[1], ID: words[2], Address: host, Port: port,
				Payload: Payload{class, words[2], words[1], metadata},
			}
			path := words[0] + "/" + words[1] + "/" + words[2]
			return path, create(client, path, []byte(asJSON(instance)))
		case "delete":
			return "deleted", client.Delete(rest, -1)
		case "subscribe":
			go subscribe(client, rest)
			return "subscribed", nil
		}
		return "", errors.New("no such request: " + verb)
	})
}
