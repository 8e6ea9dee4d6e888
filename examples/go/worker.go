// An agent that works for others: answers each task with its text in capitals.
//
//	API_KEY=bob go run examples/go/worker.go
//
// Spawns a sidecar of its own, which SIDECAR_BINARY names, or else PATH has, and talks over its standard input and
// output.
package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"os"
	"os/exec"
	"strings"
)

// Message is what agents say to each other.
type Message struct {
	Type      string          `json:"type"`
	RequestID string          `json:"request_id"`
	Payload   json.RawMessage `json:"payload"`
}

// Event is a line that the sidecar writes, as far as it matters here.
type Event struct {
	Type    string `json:"type"`
	Payload struct {
		FromPeer string  `json:"from_peer"`
		Message  Message `json:"message"`
	} `json:"payload"`
}

// Task is what is asked, and what is answered.
type Task struct {
	Text string `json:"text"`
}

// start spawns a sidecar, and gives what commands are written to and events are read from. The sidecar is set by
// the environment, and ends with this process.
func start() (io.Writer, io.Reader, error) {
	binary := os.Getenv("SIDECAR_BINARY")
	if binary == "" {
		binary = "chatixia-sidecar"
	}
	sidecar := exec.Command(binary, "--stdio")
	sidecar.Stderr = os.Stderr
	commands, err := sidecar.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	events, err := sidecar.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	return commands, events, sidecar.Start()
}

func main() {
	input, output, err := start()
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	// Lines can be longer than the scanner takes by itself; `ready` says how long.
	lines.Buffer(nil, 2*1024*1024)
	commands := json.NewEncoder(input)
	for lines.Scan() {
		var event Event
		if json.Unmarshal(lines.Bytes(), &event) != nil || event.Type != "message" {
			continue
		}
		message := event.Payload.Message
		if message.Type != "task_request" {
			continue
		}
		// Anything may be in another agent's message: what is no text counts as none.
		var task Task
		_ = json.Unmarshal(message.Payload, &task)
		answer, err := json.Marshal(Task{strings.ToUpper(task.Text)})
		if err != nil {
			log.Fatal(err)
		}
		err = commands.Encode(map[string]any{
			"type": "send",
			"payload": map[string]any{
				"target_peer": event.Payload.FromPeer,
				// By the request's id the asker tells answers apart.
				"message": Message{"task_response", message.RequestID, answer},
			},
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	log.Fatal("the sidecar has ended: ", lines.Err())
}
