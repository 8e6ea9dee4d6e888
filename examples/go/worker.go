// An agent that works for others: answers each task with its text in capitals.
//
//	API_KEY=bob go run examples/go/worker.go
//
// Spawns a sidecar of its own, which SIDECAR_BINARY names, or else PATH has.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
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

// start spawns a sidecar and connects to it. It is set by the environment, and ends soon after its agent has
// left.
func start() (net.Conn, error) {
	socket := filepath.Join(os.TempDir(), fmt.Sprintf("worker-%d.sock", os.Getpid()))
	binary := os.Getenv("SIDECAR_BINARY")
	if binary == "" {
		binary = "chatixia-sidecar"
	}
	sidecar := exec.Command(binary)
	sidecar.Env = append(os.Environ(), "IPC_SOCKET="+socket)
	sidecar.Stderr = os.Stderr
	if err := sidecar.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- sidecar.Wait() }()

	// The socket is there within milliseconds, whether the registry can be reached or not.
	for tries := 0; tries < 50; tries++ {
		if connection, err := net.Dial("unix", socket); err == nil {
			return connection, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("the sidecar has ended: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil, fmt.Errorf("the sidecar has made no socket at %s", socket)
}

func main() {
	connection, err := start()
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(connection)
	// Lines can be longer than the scanner takes by itself; `ready` says how long.
	lines.Buffer(nil, 2*1024*1024)
	commands := json.NewEncoder(connection)
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
	log.Fatal("the sidecar has closed the connection: ", lines.Err())
}
