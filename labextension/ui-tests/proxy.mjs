/** A proxy between the browser and the server that injects faults. */

import { createServer, request as ask } from 'node:http';
import { connect } from 'node:net';

/**
 * Start a proxy. `proxy.fault(request, response)` may answer instead of the server and returns whether it did;
 * `proxy.asked` lists the requested methods and paths.
 */
export async function startProxy(port) {
  const proxy = { fault: null, asked: [] };
  const sockets = new Set();
  const server = createServer((request, response) => {
    const { method, url, headers } = request;
    proxy.asked.push(`${method} ${new URL(url, 'http://localhost').pathname}`);
    if (proxy.fault?.(request, response)) {
      request.resume();
      return;
    }
    const onward = ask({ host: '127.0.0.1', port, method, path: url, headers }, answer => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  server.on('upgrade', (request, socket, head) => {
    const onward = connect(port, '127.0.0.1', () => {
      const lines = [];
      for (let at = 0; at < request.rawHeaders.length; at += 2) {
        lines.push(`${request.rawHeaders[at]}: ${request.rawHeaders[at + 1]}`);
      }
      onward.write(`${request.method} ${request.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
      onward.write(head);
      onward.pipe(socket);
      socket.pipe(onward);
    });
    for (const [one, other] of [
      [socket, onward],
      [onward, socket]
    ]) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  server.on('connection', socket => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  proxy.url = `http://127.0.0.1:${server.address().port}`;
  proxy.stop = () => {
    sockets.forEach(socket => socket.destroy());
    server.close();
  };
  return proxy;
}
