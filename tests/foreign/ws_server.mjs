// Streams of the profiles event-hub and ringcentral, by the package ws for Node.js, which this project did not write.
//
// Usage: node ws_server.mjs '{"profile": "event-hub", "events": FILE, "deflate": null | { … }}'
//
// FILE has one event a line. `deflate` is the option perMessageDeflate of ws; null: none. Each connection gets the events from the first
// one on, as far as they are allowed. Prints its port as JSON, then answers a line on the standard input with a line of JSON: `allow N` (send
// the first N events), `report`. Ends with the standard input.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { WebSocketServer } from 'ws';

const options = JSON.parse(process.argv[2]);
const events = readFileSync(options.events, 'utf8').split('\n').filter((line) => line !== '');
const tokens = new Map(); // token: the number of connections that it opened
const connections = new Set();
const report = { connections: 0, heartbeats: 0, refused: 0, messages: 0, bytes: 0, errors: [] };
let allowed = 0;

// What the client sends, and what becomes of an event, in each profile.
const profiles = {
  'event-hub': {
    upgrade: () => true,
    received: {
      register: (connection, message) => {
        if (!tokens.has(message.payload?.token)) return connection.refuse();
        connection.send('"authorized"');
        connection.begin();
      },
      heartbeat: (connection) => connection.answerHeartbeat('"pong"'),
    },
    action: (message) => message.action,
    wrap: (event) => event,
  },
  ringcentral: {
    // A token opens one connection.
    upgrade: (url) => {
      const token = url.searchParams.get('access_token');
      const used = tokens.get(token);
      tokens.set(token, (used ?? 0) + 1);
      return used === 0;
    },
    welcome: '[{"type":"ConnectionDetails","wsc":{"token":"resume"}},{"status":"connected"}]',
    received: {
      Heartbeat: (connection, message) => connection.answerHeartbeat(JSON.stringify(message)),
    },
    action: (message) => message[0]?.type,
    wrap: (event, number) => `[{"type":"ServerNotification","messageId":"m-${number}"}, ${event}]`,
  },
};
const profile = profiles[options.profile];

class Connection {
  constructor(socket, tcp) {
    Object.assign(this, { socket, tcp, isOpen: false, isPumping: false, next: 0 });
    report.connections += 1;
    connections.add(this);
    const compresses = socket.extensions.includes('permessage-deflate');
    if (compresses !== (options.deflate !== null)) report.errors.push(`compression is ${compresses}`);
    socket.on('message', (data) => this.receive(String(data)));
    socket.on('error', (error) => report.errors.push(`the client broke the protocol: ${error.message}`));
    socket.on('close', () => {
      report.bytes += tcp.bytesWritten;
      connections.delete(this);
    });
    if (profile.welcome) {
      this.send(profile.welcome);
      this.begin();
    }
  }

  receive(text) {
    let message, answer;
    try {
      message = JSON.parse(text);
      answer = profile.received[profile.action(message)];
    } catch (error) {
      report.errors.push(String(error));
    }
    if (answer) answer(this, message);
    else report.errors.push(`unexpected: ${text}`);
  }

  send(text) {
    return new Promise((sent) => this.socket.send(text, () => sent()));
  }

  // In two fragments.
  sendInParts(text) {
    const middle = text.length >> 1;
    this.socket.send(text.slice(0, middle), { fin: false });
    return new Promise((sent) => this.socket.send(text.slice(middle), { fin: true }, () => sent()));
  }

  answerHeartbeat(answer) {
    report.heartbeats += 1;
    return this.send(answer);
  }

  refuse() {
    report.refused += 1;
    this.socket.close(4001, 'the token is not valid');
  }

  begin() {
    this.isOpen = true;
    this.pump();
  }

  async pump() {
    if (!this.isOpen || this.isPumping) return;
    this.isPumping = true;
    while (this.next < allowed && this.socket.readyState === this.socket.OPEN) {
      const number = this.next++;
      const message = profile.wrap(events[number], number);
      report.messages += 1;
      await (number % 7 === 6 ? this.sendInParts(message) : this.send(message));
    }
    this.isPumping = false;
  }
}

const server = createServer((request, response) => {
  const token = randomBytes(12).toString('hex') + '+/=';
  tokens.set(token, 0);
  const answer = { access_token: token, token_type: 'Bearer', expires_in: 3600, scope: 'data-actions:read' };
  request.resume().on('end', () => {
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
  });
});

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: options.deflate ?? false });
server.on('upgrade', (request, tcp, head) => {
  if (profile.upgrade(new URL(request.url, 'http://localhost'))) {
    sockets.handleUpgrade(request, tcp, head, (socket) => new Connection(socket, tcp));
  } else {
    report.refused += 1;
    tcp.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  }
});

const commands = {
  allow: (count) => {
    allowed = Math.min(Number(count), events.length);
    for (const connection of connections) connection.pump();
    return { allowed };
  },
  report: () => {
    const open = [...connections].reduce((sum, connection) => sum + connection.tcp.bytesWritten, 0);
    return { ...report, bytes: report.bytes + open };
  },
};
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: server.address().port, token_port: server.address().port }));
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const [command, argument] = line.split(' ');
      console.log(JSON.stringify(commands[command](argument)));
    })
    .on('close', () => process.exit());
});
