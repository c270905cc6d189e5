import { DEFAULT_TUNNEL_PORT } from "./arguments.ts";

const portlight = `Portlight makes a port of this machine reachable at one URL, for any protocol, and shows what passes.

  portlight share PORT…     share ports
  portlight relay           run a relay for others
  portlight --version
  portlight help share      all options of a command
`;

const share = `portlight share PORT… [options]

Makes the ports reachable: gRPC, HTTP, WebSocket, with or without TLS at the service. Ends with Ctrl+C.
Without --relay everything stays on this machine: each port gets a URL on 127.0.0.1.

  --relay URL        share through a public relay: https://relay.example.com (agents dial its port ${DEFAULT_TUNNEL_PORT}),
                     tls://host:port, or tcp://127.0.0.1:port
  --token-file F     file with the token for that relay (chmod 600)
  --links N          connections to that relay, 1 to 4; default 2, to one on this machine 1
  --name N           the name in the public URL, for one port; kept for next time
  --lan              without --relay: for everybody in the local network, not only this machine
  --tcp              pass on bytes, whatever they are (databases, SSH); a public port of its own
  --keep-host        pass Host, :authority and Origin on as the visitor sent them
  --proto DIR        .proto files are below DIR (may be repeated); default: the current directory
  --inspect[=PORT]   serve the inspector on this machine and print its URL
  --no-capture       look at nothing that passes, and keep nothing
  --json             one JSON object a line: shares, then every exchange as it ends, decoded
  --show-secrets     do not mask credentials in what is printed
  -h, --help         this text

  portlight share 50051                          a gRPC service, for this machine
  portlight share 3000 50051 --inspect           two ports, and a page that shows what passes
  portlight share 3000 --lan                     to try it on a phone in the same network
  portlight share 3000 --relay https://relay.example.com --token-file token --name demo

Exit codes: 0 ended by a signal, 1 failed, 2 wrong usage. A second signal ends at once.
`;

const relay = `portlight relay [options]

Runs the public end. With --domain shares are reachable as https://NAME.DOMAIN; without, for this machine only.

  --listen ADDR          where visitors come: 0.0.0.0:443 with a certificate, else port 8480
  --tunnel-listen ADDR   where agents dial: port ${DEFAULT_TUNNEL_PORT}
  --domain D             the domain whose wildcard (*.D) points here
  --cert F --key F       PEM files: a certificate for D and *.D, with its chain
  --tokens-file F        one token a line, # begins a comment: who may share. Needed beyond loopback
  --reuse-port           let another relay listen on the same ports: start the new one, then end this one
  --json                 {"type":"listening","public":"…","tunnel":"…"} on standard output
  -h, --help             this text

ADDR is host:port, [::1]:port, :port or port. Certificate and tokens are read at the start.
Exit codes: 0 ended by a signal, 1 failed, 2 wrong usage. A second signal ends at once.
`;

export const helpTexts = { portlight, share, relay } as const;
