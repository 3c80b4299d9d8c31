/** `nestbox serve`: the built lab on localhost. Static files only, from dist/, with the headers a strict page wants. */
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { options, Usage } from './arguments.ts';
import { root } from './assets.ts';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm', '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2', '.json': 'application/json', '.webmanifest': 'application/manifest+json', '.png': 'image/png', '.ico': 'image/x-icon',
};

export function serve(args: string[]): Promise<number> {
  const { values } = options(args, { port: { type: 'string', default: '4173' } }, { min: 0, max: 0, name: '' });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Usage(`--port is 0 to 65535, not '${values.port}'`);
  const dist = join(root(), 'dist');
  if (!existsSync(join(dist, 'index.html'))) throw new Usage('the lab is not built yet: npm run build');
  return new Promise((resolve) => {
    const server = createServer((request, response) => {
      const path = decode(request.url ?? '/');
      const file = path === null ? null : join(dist, normalize(path === '/' ? '/index.html' : path));
      if (file === null || !file.startsWith(dist + sep) || !existsSync(file) || !statSync(file).isFile()) {
        response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
        return;
      }
      const hashed = path!.startsWith('/assets/');
      response.writeHead(200, {
        'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
        'cache-control': hashed ? 'public, max-age=31536000, immutable' : 'no-cache',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
      });
      createReadStream(file).pipe(response);
    });
    server.on('error', (error: NodeJS.ErrnoException) => {
      console.error(error.code === 'EADDRINUSE' ? `nestbox serve: port ${port} is taken; try --port ${port + 1}` : `nestbox serve: ${error.message}`);
      resolve(1);
    });
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      console.log(`Nestbox is at http://127.0.0.1:${typeof address === 'object' && address ? address.port : port}/`);
    });
  });
}

function decode(url: string): string | null {
  try {
    return decodeURIComponent(new URL(url, 'http://localhost').pathname);
  } catch {
    return null;
  }
}
