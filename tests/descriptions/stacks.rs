//! Session descriptions as other stacks write them. Their fingerprints are those of no certificate.

/// A fingerprint by SHA-256.
const SHA_256: &str = "75:74:5A:A6:A4:E5:52:F4:A7:67:4C:01:C7:EE:91:3F:21:3D:A2:E3:53:7B:6F:30:86:F2:30:AA:65:FB:04:24";

/// Their offers, each with the stack's name. The answers differ in `a=setup` alone.
pub(crate) const OFFERS: [(&str, &str); 9] = [
    ("Chromium", CHROMIUM),
    ("Firefox", FIREFOX),
    ("pion", PION),
    ("webrtc-rs", WEBRTC_RS),
    ("aiortc", AIORTC),
    ("werift", WERIFT),
    ("libdatachannel", LIBDATACHANNEL),
    ("node-datachannel", NODE_DATACHANNEL),
    ("an odd name and no size", ODD),
];

const CHROMIUM: &str = "\
v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS
m=application 49203 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=candidate:2744953318 1 udp 2113937151 5aa0e5d4-3a3c-4a2e-9a5d-4a4f2f2b5c1e.local 49203 typ host generation 0 network-cost 999
a=ice-ufrag:4ZcD
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlZZ
a=ice-options:trickle
a=fingerprint:sha-256 {sha-256}
a=setup:actpass
a=mid:0
a=sctp-port:5000
a=max-message-size:262144
";

const FIREFOX: &str = "\
v=0
o=mozilla...THIS_IS_SDPARTA-99.0 6834207262458414498 0 IN IP4 0.0.0.0
s=-
t=0 0
a=sendrecv
a=fingerprint:sha-256 {sha-256}
a=group:BUNDLE 0
a=ice-options:trickle
a=msid-semantic:WMS *
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=sendrecv
a=ice-pwd:9cc6ce0b3d7d6b8e3e3b7c4f1a2d5e6f
a=ice-ufrag:0b2f6e1a
a=mid:0
a=setup:actpass
a=sctp-port:5000
a=max-message-size:1073741823
";

const PION: &str = "\
v=0
o=- 6393063236014425371 1730000000 IN IP4 0.0.0.0
s=-
t=0 0
a=msid-semantic:WMS *
a=fingerprint:sha-256 {sha-256}
a=extmap-allow-mixed
a=group:BUNDLE 0
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:0
a=sendrecv
a=sctp-port:5000
a=max-message-size:1073741823
a=ice-ufrag:YxWvUtSrQpOnMlKj
a=ice-pwd:AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEf
a=candidate:233762139 1 udp 2130706431 192.0.2.5 40001 typ host
a=candidate:233762139 2 udp 2130706431 192.0.2.5 40001 typ host
a=end-of-candidates
";

const WEBRTC_RS: &str = "\
v=0
o=- 7719021432019432023 640119000 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 {sha-256}
a=group:BUNDLE 0
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:0
a=sendrecv
a=sctp-port:5000
a=ice-ufrag:rBxLDHvoGpHnCyoS
a=ice-pwd:dbZgJrJcYeMyNVkULuScKCDwJBZtEmqj
";

const AIORTC: &str = "\
v=0
o=- 3967241590 3967241590 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0
a=msid-semantic:WMS *
m=application 54320 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 192.0.2.5
a=mid:0
a=sctp-port:5000
a=max-message-size:65536
a=candidate:d3f1b1e9 1 udp 2130706431 192.0.2.5 54320 typ host
a=candidate:d3f1b1ea 1 tcp 1518280447 192.0.2.5 9 typ host tcptype active
a=end-of-candidates
a=ice-ufrag:aX4b
a=ice-pwd:VOPXMdOHgCoqfAjGDIPAH3
a=fingerprint:sha-256 {sha-256}
a=fingerprint:sha-384 AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD
a=fingerprint:sha-512 CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF:CD:EF
a=setup:actpass
";

const WERIFT: &str = "\
v=0
o=- 40961327 0 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic:WMS *
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:6f13
a=ice-pwd:5cdd1c3a2dbb93ba93a5d8
a=ice-options:trickle
a=fingerprint:sha-256 {sha-256}
a=setup:actpass
a=mid:0
a=sctp-port:5000
a=max-message-size:65536
";

const LIBDATACHANNEL: &str = "\
v=0
o=rtc 2861397428 0 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=msid-semantic:WMS *
a=setup:actpass
a=ice-ufrag:9+/Z
a=ice-pwd:nv8a0Hf3NUxYbPSgWTnaZZ
a=ice-options:trickle
a=fingerprint:sha-256 {sha-256}
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:0
a=sendrecv
a=sctp-port:5000
a=max-message-size:262144
";

const NODE_DATACHANNEL: &str = "\
v=0
o=rtc 3197735236 0 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=group:LS 0
a=msid-semantic:WMS *
a=ice-options:ice2,trickle
a=fingerprint:sha-256 {sha-256}
m=application 52001 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 192.0.2.5
a=mid:0
a=sendrecv
a=sctp-port:5000
a=max-message-size:262144
a=setup:actpass
a=ice-ufrag:OvFB
a=ice-pwd:8tDZCnhQkdDyHlN3RrlHuO
a=candidate:1 1 UDP 2114977791 192.0.2.5 52001 typ host
a=candidate:2 1 UDP 1678769919 198.51.100.7 52001 typ srflx raddr 0.0.0.0 rport 0
a=end-of-candidates
";

const ODD: &str = "\
v=0
o=- 6393063236014425371 1730000000 IN IP4 0.0.0.0
s=-
t=0 0
a=msid-semantic:WMS*
a=fingerprint:sha-256 {sha-256}
a=group:BUNDLE data
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:data
a=sendrecv
a=sctp-port:5000
a=ice-ufrag:YxWvUtSrQpOnMlKj
a=ice-pwd:AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEf
";

/// A page with a camera, in Chromium.
pub(crate) const WITH_MEDIA: &str = "\
v=0
o=- 8423095723407234098 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS stream
m=audio 9 UDP/TLS/RTP/SAVPF 111 0
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:4ZcD
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlZZ
a=ice-options:trickle
a=fingerprint:sha-256 {sha-256}
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendrecv
a=msid:stream track
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:0 PCMU/8000
a=ssrc:2147603131 cname:TbS1Ajv9obq6/63I
m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:4ZcD
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlZZ
a=ice-options:trickle
a=fingerprint:sha-256 {sha-256}
a=setup:actpass
a=mid:1
a=recvonly
a=rtcp-mux
a=rtpmap:96 VP8/90000
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:4ZcD
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlZZ
a=ice-options:trickle
a=fingerprint:sha-256 {sha-256}
a=setup:actpass
a=mid:2
a=sctp-port:5000
a=max-message-size:262144
";

/// Chromium, as it wrote until 2019.
pub(crate) const OLD: &str = "\
v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE data
a=msid-semantic: WMS
m=application 9 DTLS/SCTP 5000
c=IN IP4 0.0.0.0
b=AS:30
a=ice-ufrag:4ZcD
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlZZ
a=fingerprint:sha-256 {sha-256}
a=setup:actpass
a=mid:data
a=sctpmap:5000 webrtc-datachannel 1024
";

/// Returns the description with CRLF, as RFC 8866 asks for, and with a fingerprint.
pub(crate) fn text(description: &str) -> String {
    description
        .replace("{sha-256}", SHA_256)
        .replace('\n', "\r\n")
}
