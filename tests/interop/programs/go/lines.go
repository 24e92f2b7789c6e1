package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/samuel/go-zookeeper/zk"
)

var speaking sync.Mutex

func say(line string) {
	speaking.Lock()
	defer speaking.Unlock()
	fmt.Println(line)
}

// tell says what has been seen happen.
func tell(what string) {
	say("* " + what)
}

// answerLines does what it is asked, line by line, until nobody asks any more.
func answerLines(answer func(verb, rest string) (string, error)) {
	requests := bufio.NewScanner(os.Stdin)
	requests.Buffer(nil, 1<<20)
	for requests.Scan() {
		verb, rest, _ := strings.Cut(requests.Text(), " ")
		if verb == "version" {
			say("= " + runtime.Version())
		} else if said, err := answer(verb, rest); err != nil {
			say("! " + err.Error())
		} else {
			say("= " + said)
		}
	}
}

func asJSON(value interface{}) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// connect opens the session; the first request waits for it.
func connect() *zk.Conn {
	client, _, err := zk.Connect(strings.Split(os.Getenv("INTEROP_CONNECT"), ","), 5*time.Second)
	if err != nil {
		panic(err)
	}
	return client
}
