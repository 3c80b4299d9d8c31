/** python3 -m http.server: the files of a directory, logged as http.server does. Source: CPython 3.13 Lib/http/server.py. Left out: CGI, ranges, If-Modified-Since. */
import { AF_INET, SIG, SOCK_STREAM, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { attempt, isDir, list, readBytes, statOf } from '../../lib/files.ts';
import { type Call, type Exchange, serveOn, writeAll } from '../../lib/http.ts';
import { osError } from '../errors.ts';
import { failedWith, sysc, type Vm } from '../vm.ts';
import { civil, strftime } from './calendar.ts';
import { VERSION } from './system.ts';

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html', htm: 'text/html', txt: 'text/plain', css: 'text/css', js: 'text/javascript', json: 'application/json', png: 'image/png', jpg: 'image/jpeg', gif: 'image/gif', svg: 'image/svg+xml', py: 'text/x-python', sh: 'application/x-sh',
  pdf: 'application/pdf', xml: 'text/xml', gz: 'application/gzip', tar: 'application/x-tar', md: 'text/markdown', csv: 'text/csv',
};

interface Options {
  port: number;
  bind: string;
  directory: string;
}

function optionsOf(words: readonly string[]): Options | string {
  const o: Options = { port: 8000, bind: '', directory: '.' };
  for (let i = 0; i < words.length; i++) {
    const w = words[i]!;
    const value = (): string => (w.includes('=') ? w.slice(w.indexOf('=') + 1) : (words[++i] ?? ''));
    if (/^(-b|--bind)(=|$)/.test(w)) o.bind = value();
    else if (/^(-d|--directory)(=|$)/.test(w)) o.directory = value();
    else if (/^(-p|--protocol)(=|$)/.test(w)) value();
    else if (/^\d+$/.test(w)) o.port = Number(w);
    else return w.startsWith('-') ? `unrecognized arguments: ${w}` : `argument port: invalid int value: '${w}'`;
  }
  return o;
}

const USAGE = 'usage: server.py [-h] [--cgi] [-b ADDRESS] [-d DIRECTORY] [-p VERSION] [port]\n';

export function* runServer(vm: Vm, words: readonly string[]): Call<number> {
  const o = optionsOf(words);
  if (typeof o === 'string') {
    yield* writeAll(2, bytes(`${USAGE}server.py: error: ${o}\n`));
    return 2;
  }
  const address = o.bind === '' ? '0.0.0.0' : o.bind;
  const fd = yield* sysc(vm, 'socket', AF_INET, SOCK_STREAM, 0);
  yield* sysc(vm, 'setsockopt', fd, 'SO_REUSEADDR', 1);
  try {
    yield* sysc(vm, 'bind', fd, { family: 'inet', address, port: o.port });
    yield* sysc(vm, 'listen', fd, 5);
  } catch (error) {
    if (error instanceof SysError) throw osError(error);
    throw error;
  }
  yield* writeAll(1, bytes(`Serving HTTP on ${address} port ${o.port} (http://${address}:${o.port}/) ...\n`));
  vm.handlers.delete(SIG.INT);
  return yield* serving(vm, fd, o);
}

/** Until an interrupt, which ends it in good order. */
function* serving(vm: Vm, fd: number, o: Options): Call<number> {
  let over = false;
  yield* sys('rt_sigaction', SIG.INT, { handler: function* () { over = true; } });
  try {
    yield* serveOn(fd, (x) => answer(x, o));
  } catch (error) {
    if (!over && !failedWith(error, 'EINTR')) throw error;
  }
  yield* writeAll(1, bytes('\nKeyboard interrupt received, exiting.\n'));
  return 0;
}

const escaped = (s: string): string => s.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function* answer(x: Exchange, o: Options): Call<void> {
  const target = decodeURIComponent(x.path);
  const place = `${o.directory}/${target.split('/').filter((p) => p !== '' && p !== '.' && p !== '..').join('/')}`.replace(/\/$/, '');
  const stat = yield* statOf(place);
  if (x.method !== 'GET' && x.method !== 'HEAD') return yield* refuse(x, 501, `Unsupported method ('${x.method}')`, 'Server does not support this operation');
  if (!stat) return yield* refuse(x, 404, 'File not found', 'Nothing matches the given URI');
  if (isDir(stat) && !target.endsWith('/')) {
    yield* log(x, '301', '-');
    return yield* say(x, 301, 'Moved Permanently', '', { Location: `${x.path}/`, 'Content-Length': '0' });
  }
  const index = isDir(stat) && (yield* statOf(`${place}/index.html`)) ? `${place}/index.html` : null;
  yield* log(x, '200', '-');
  if (isDir(stat) && !index) {
    const page = bytes(yield* listing(place, target));
    return yield* say(x, 200, 'OK', page, { 'Content-type': 'text/html; charset=utf-8', 'Content-Length': String(page.length) });
  }
  const name = index ?? place;
  const data = yield* attempt(readBytes(name), null);
  if (data === null) return yield* refuse(x, 404, 'File not found', 'Nothing matches the given URI');
  const modified = strftime('%a, %d %b %Y %H:%M:%S GMT', civil((yield* statOf(name))?.mtime ?? 0));
  yield* say(x, 200, 'OK', data, { 'Content-type': TYPES[name.split('.').pop()!] ?? 'application/octet-stream', 'Content-Length': String(data.length), 'Last-Modified': modified });
}

function* listing(place: string, target: string): Call<string> {
  const title = `Directory listing for ${escaped(target)}`;
  const rows: string[] = [];
  for (const e of (yield* list(place)).sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1))) {
    const mark = e.type === 'dir' ? '/' : '';
    rows.push(`<li><a href="${encodeURIComponent(e.name)}${mark}">${escaped(e.name)}${mark || (e.type === 'link' ? '@' : '')}</a></li>`);
  }
  return ['<!DOCTYPE HTML>', '<html lang="en">', '<head>', '<meta charset="utf-8">', `<title>${title}</title>`, '</head>', '<body>', `<h1>${title}</h1>`, '<hr>', '<ul>', ...rows, '</ul>', '<hr>', '</body>', '</html>', ''].join('\n');
}

function* refuse(x: Exchange, code: number, message: string, explain: string): Call<void> {
  yield* writeAll(2, bytes(`${yield* stamp(x)} code ${code}, message ${message}\n`));
  yield* log(x, String(code), '-');
  const page = `<!DOCTYPE HTML>
<html lang="en">
    <head>
        <meta charset="utf-8">
        <title>Error response</title>
    </head>
    <body>
        <h1>Error response</h1>
        <p>Error code: ${code}</p>
        <p>Message: ${escaped(message)}.</p>
        <p>Error code explanation: ${code} - ${explain}.</p>
    </body>
</html>
`;
  const data = bytes(page);
  yield* say(x, code, message, data, { Connection: 'close', 'Content-Type': 'text/html;charset=utf-8', 'Content-Length': String(data.length) });
}

/** An answer of HTTP/1.0, its head in http.server's order; the connection ends after it. */
function* say(x: Exchange, code: number, reason: string, body: Uint8Array | string, headers: Record<string, string>): Call<void> {
  const date = strftime('%a, %d %b %Y %H:%M:%S GMT', civil((yield* sys('clock_gettime', 'realtime')) / 1e9));
  const head = { Server: `SimpleHTTP/0.6 Python/${VERSION}`, Date: date, ...headers };
  x.answered = 'hijacked';
  yield* writeAll(x.fd, bytes(`HTTP/1.0 ${code} ${reason}\r\n${Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`));
  const data = typeof body === 'string' ? bytes(body) : body;
  if (x.method !== 'HEAD' && data.length > 0) yield* writeAll(x.fd, data);
}

function* stamp(x: Exchange): Call<string> {
  const peer = yield* attempt(sys('getpeername', x.fd), null);
  const now = strftime('%d/%b/%Y %H:%M:%S', civil((yield* sys('clock_gettime', 'realtime')) / 1e9));
  return `${peer?.family === 'inet' ? peer.address : '-'} - - [${now}]`;
}

function* log(x: Exchange, code: string, size: string): Call<void> {
  yield* writeAll(2, bytes(`${yield* stamp(x)} "${x.method} ${x.path} HTTP/1.1" ${code} ${size}\n`));
}
