// A sidecar of another make, on pion (contract parts 3 and 4).
//
//	pion-peer NAME REGISTRY      (REGISTRY: host:port)
//
// Commands on standard input, events on standard output: see the README. It ends with its input.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gorilla/websocket"
	"github.com/pion/webrtc/v3"
)

// pion refuses to send more.
const mostBytes = 65535

// What may wait in the channel when many messages are sent; it is filled up again from half of it.
const waitingBytes = 1 << 20

// How the message begins that is sent back where others are dropped.
const end = `{"payload":null,`

const longestLine = 2 << 20

var announced = regexp.MustCompile(`(?m)^a=max-message-size:(\d+)`)

type frame struct {
	Type    string          `json:"type"`
	Sender  string          `json:"peer_id"`
	Target  string          `json:"target_id,omitempty"`
	Payload json.RawMessage `json:"payload"`
}

type description struct {
	SDP string `json:"sdp"`
}

type command struct {
	Do     string
	Text   string
	Binary bool
	Label  string
	As     string
	Count  int
	End    string
}

type event map[string]any

var output sync.Mutex

func report(said event) {
	line, _ := json.Marshal(said)
	output.Lock()
	defer output.Unlock()
	fmt.Println(string(line))
}

func must(err error) {
	if err != nil {
		report(event{"event": "failed", "reason": err.Error()})
		os.Exit(1)
	}
}

// The one connection of this peer; a newer one takes its place.
type peer struct {
	name    string
	socket  *websocket.Conn
	writing sync.Mutex
	sidecar string
	pc      *webrtc.PeerConnection
	mesh    *webrtc.DataChannel
	early   []webrtc.ICECandidateInit
	drops   atomic.Bool
}

func (p *peer) signal(kind, target string, payload any) {
	raw, err := json.Marshal(payload)
	must(err)
	p.writing.Lock()
	defer p.writing.Unlock()
	must(p.socket.WriteJSON(frame{Type: kind, Sender: p.name, Target: target, Payload: raw}))
}

func (p *peer) handle(received frame) {
	switch received.Type {
	case "peer_list":
		var list struct{ Peers []string }
		must(json.Unmarshal(received.Payload, &list))
		for _, sidecar := range list.Peers {
			p.offer(sidecar)
		}
	case "offer":
		p.answer(received.Sender, sdpOf(received))
	case "answer":
		if p.pc.SignalingState() == webrtc.SignalingStateHaveLocalOffer {
			p.describe(webrtc.SDPTypeAnswer, sdpOf(received))
		}
	case "ice_candidate":
		var candidate webrtc.ICECandidateInit
		must(json.Unmarshal(received.Payload, &candidate))
		if p.pc.RemoteDescription() == nil {
			p.early = append(p.early, candidate)
		} else {
			must(p.pc.AddICECandidate(candidate))
		}
	}
}

func sdpOf(received frame) string {
	var payload description
	must(json.Unmarshal(received.Payload, &payload))
	return payload.SDP
}

func (p *peer) offer(sidecar string) {
	p.connect(sidecar)
	mesh, err := p.pc.CreateDataChannel("mesh", nil)
	must(err)
	p.take(mesh)
	report(event{"event": "offering"})
	offer, err := p.pc.CreateOffer(nil)
	must(err)
	p.announce("offer", offer)
}

func (p *peer) answer(sidecar, sdp string) {
	report(event{"event": "offered"})
	p.connect(sidecar)
	p.pc.OnDataChannel(func(channel *webrtc.DataChannel) {
		if channel.Label() == "mesh" {
			p.take(channel)
		} else {
			report(event{"event": "other", "label": channel.Label(), "state": "offered"})
		}
	})
	p.describe(webrtc.SDPTypeOffer, sdp)
	answer, err := p.pc.CreateAnswer(nil)
	must(err)
	p.announce("answer", answer)
}

func (p *peer) connect(sidecar string) {
	old := p.pc
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	must(err)
	pc.OnICECandidate(func(candidate *webrtc.ICECandidate) {
		if candidate != nil {
			p.signal("ice_candidate", sidecar, candidate.ToJSON())
		}
	})
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		report(event{"event": "connection", "state": state.String()})
	})
	p.sidecar, p.pc, p.early = sidecar, pc, nil
	if old != nil {
		must(old.Close())
	}
}

func (p *peer) describe(kind webrtc.SDPType, sdp string) {
	must(p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: kind, SDP: sdp}))
	for _, candidate := range p.early {
		must(p.pc.AddICECandidate(candidate))
	}
	p.early = nil
}

func (p *peer) announce(kind string, local webrtc.SessionDescription) {
	var size any
	if found := announced.FindStringSubmatch(local.SDP); found != nil {
		size, _ = strconv.Atoi(found[1])
	}
	report(event{"event": "described", "announces": size})
	p.signal(kind, p.sidecar, description{local.SDP})
	// Candidates come from here on, and must not come before the description.
	must(p.pc.SetLocalDescription(local))
}

func (p *peer) take(mesh *webrtc.DataChannel) {
	p.mesh = mesh
	mesh.OnOpen(func() { report(event{"event": "open", "max_send": mostBytes}) })
	pc := p.pc
	mesh.OnClose(func() {
		if p.pc == pc {
			report(event{"event": "closed"})
		}
	})
	mesh.OnMessage(func(message webrtc.DataChannelMessage) {
		if !p.drops.Load() {
			report(event{"event": "message", "text": string(message.Data), "binary": !message.IsString})
		} else if strings.HasPrefix(string(message.Data), end) {
			must(mesh.SendText(string(message.Data)))
		}
	})
}

func (p *peer) obey(asked command) {
	switch asked.Do {
	case "send":
		if asked.Binary {
			must(p.mesh.Send([]byte(asked.Text)))
		} else {
			must(p.mesh.SendText(asked.Text))
		}
	case "open":
		p.openOther(asked.Label, asked.Text)
	case "treat":
		p.drops.Store(asked.As == "drop")
		report(event{"event": "treating"})
	case "flood":
		p.flood(asked)
	case "leave":
		must(p.pc.Close())
	}
}

// Sends a message many times, as fast as the channel takes it, and another one at the end.
func (p *peer) flood(asked command) {
	low := make(chan struct{}, 1)
	p.mesh.SetBufferedAmountLowThreshold(waitingBytes / 2)
	p.mesh.OnBufferedAmountLow(func() {
		select {
		case low <- struct{}{}:
		default:
		}
	})
	for sent := 0; sent < asked.Count; sent++ {
		for p.mesh.BufferedAmount() > waitingBytes {
			<-low
		}
		must(p.mesh.SendText(asked.Text))
	}
	must(p.mesh.SendText(asked.End))
}

// Another channel, which is no business of the sidecar's, and a message on it.
func (p *peer) openOther(label, text string) {
	other, err := p.pc.CreateDataChannel(label, nil)
	must(err)
	state := func(state string) { report(event{"event": "other", "label": label, "state": state}) }
	other.OnOpen(func() {
		must(other.SendText(text))
		state("open")
	})
	other.OnMessage(func(webrtc.DataChannelMessage) { state("message") })
	other.OnClose(func() { state("closed") })
}

func token(registry, name string) string {
	request, err := http.NewRequest(http.MethodPost, "http://"+registry+"/api/token", nil)
	must(err)
	request.Header.Set("x-api-key", name)
	response, err := http.DefaultClient.Do(request)
	must(err)
	defer response.Body.Close()
	var identity struct{ Token string }
	must(json.NewDecoder(response.Body).Decode(&identity))
	return identity.Token
}

func main() {
	name, registry := os.Args[1], os.Args[2]
	url := "ws://" + registry + "/ws?token=" + token(registry, name)
	socket, _, err := websocket.DefaultDialer.Dial(url, nil)
	must(err)
	p := &peer{name: name, socket: socket}

	frames, commands := make(chan frame), make(chan command)
	go func() {
		for {
			var received frame
			must(socket.ReadJSON(&received))
			frames <- received
		}
	}()
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		lines.Buffer(nil, longestLine)
		for lines.Scan() {
			var asked command
			must(json.Unmarshal(lines.Bytes(), &asked))
			commands <- asked
		}
		os.Exit(0)
	}()

	p.signal("register", "", struct{}{})
	registered := false
	for {
		select {
		case received := <-frames:
			if received.Type == "peer_list" && !registered {
				registered = true
				report(event{"event": "registered", "groups": []int{}})
			}
			p.handle(received)
		case asked := <-commands:
			p.obey(asked)
		}
	}
}
