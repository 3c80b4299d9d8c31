/** busybox httpd: files of a directory over HTTP. Source: BusyBox 1.37 networking/httpd.c. Left out: CGI, configuration files, authentication. */
import { SIG, SysError } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { parseOptions, lastValue as given } from '../lib/args.ts';
import { attempt, fork, isDir, readBytes, statOf } from '../lib/files.ts';
import { type Call, type Exchange, listen, reply, serveOn } from '../lib/http.ts';
import { command, Failed } from '../lib/io.ts';

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html', htm: 'text/html', txt: 'text/plain', css: 'text/css', js: 'text/javascript', json: 'application/json', png: 'image/png', jpg: 'image/jpeg', gif: 'image/gif', svg: 'image/svg+xml',
};

export const httpd = command(function* (argv) {
  const o = parseOptions('f i v p= h= c= u= r=', argv.slice(1));
  const [address, port] = (given(o, 'p') ?? '80').includes(':') ? given(o, 'p')!.split(':') as [string, string] : ['0.0.0.0', given(o, 'p') ?? '80'];
  const home = given(o, 'h');
  if (home !== undefined && (yield* attempt(sys('chdir', home), null)) === null) throw new Failed(`can't change directory to '${home}': No such file or directory`);
  let fd: number;
  try {
    fd = yield* listen({ family: 'inet', address, port: Number(port) });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`bind: ${error.message}`);
  }
  if (o.on.has('f')) yield* serveOn(fd, answer);
  yield* fork(function* (): Body {
    yield* sys('setsid');
    yield* sys('rt_sigaction', SIG.HUP, { handler: 'ignore' });
    yield* serveOn(fd, answer);
    return 0;
  });
  return 0;
});

const page = (title: string, text: string): string => `<HTML><HEAD><TITLE>${title}</TITLE></HEAD>\n<BODY><H1>${title}</H1>\n${text}\n</BODY></HTML>\n`;

function* answer(x: Exchange): Call<void> {
  const close = { Connection: 'close' };
  const html = { ...close, 'Content-Type': 'text/html' };
  if (x.method !== 'GET' && x.method !== 'HEAD') return yield* reply(x, 501, page('501 Not Implemented', 'The requested method is not recognized'), html);
  const path = decodeURIComponent(x.path);
  if (path.split('/').includes('..')) return yield* reply(x, 400, page('400 Bad Request', 'Unsupported method'), html);
  const stat = yield* statOf(`.${path}`);
  const name = stat && isDir(stat) ? `.${path.replace(/\/+$/, '')}/index.html` : `.${path}`;
  const data = yield* attempt(readBytes(name), null);
  if (data === null) return yield* reply(x, 404, page('404 Not Found', 'The requested URL was not found'), html);
  yield* reply(x, 200, data, { ...close, 'Content-Type': TYPES[name.split('.').pop()!] ?? 'application/octet-stream', 'Accept-Ranges': 'bytes' });
}
