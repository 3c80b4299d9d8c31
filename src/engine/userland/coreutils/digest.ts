/** md5sum, sha1sum, sha256sum, sha512sum, base64: bytes as digests and as text. */
import { md5, sha1 } from '@noble/hashes/legacy.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { AT_FDCWD, O_RDONLY, SysError } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { toBase64 } from '../../sim/text.ts';
import { BadOption, type Options, parseOptions, lastValue } from '../lib/args.ts';
import { drain, readText } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { curly } from './quote.ts';
import { createOut, eachInput, flush, put, putOut, READ, readRest, refuseDirectory } from './streams.ts';

interface Digest {
  update(data: Uint8Array): unknown;
  digest(): Uint8Array;
}

const ALGORITHMS = {
  md5sum: { create: (): Digest => md5.create(), tag: 'MD5', length: 32 }, sha1sum: { create: (): Digest => sha1.create(), tag: 'SHA1', length: 40 }, sha256sum: { create: (): Digest => sha256.create(), tag: 'SHA256', length: 64 },
  sha384sum: { create: (): Digest => sha384.create(), tag: 'SHA384', length: 96 }, sha512sum: { create: (): Digest => sha512.create(), tag: 'SHA512', length: 128 },
} as const;

type Name = keyof typeof ALGORITHMS;

function* digestOf(name: Name, fd: number): Call<string> {
  const hash = ALGORITHMS[name].create();
  for (;;) {
    const data = yield* sys('read', fd, READ);
    if (data.length === 0) return bytesToHex(hash.digest());
    hash.update(data);
  }
}

function digest(name: Name): Program {
  return command(function* (argv) {
    const o = parseOptions('b/binary c/check t/text w/warn z/zero tag quiet status strict ignore-missing', argv.slice(1));
    if (o.on.has('check')) return yield* check(name, o);
    return yield* eachInput(name, o.words, function* ({ name: file, fd }) {
      yield* refuseDirectory(fd);
      const hex = yield* digestOf(name, fd);
      const end = o.on.has('zero') ? '\0' : '\n';
      yield* print(o.on.has('tag') ? `${ALGORITHMS[name].tag} (${file}) = ${hex}${end}` : `${hex} ${o.on.has('binary') ? '*' : ' '}${file}${end}`);
    });
  });
}

function* check(name: Name, o: Options): Call<number> {
  let [failed, unread, malformed, good] = [0, 0, 0, 0];
  for (const file of o.words.length === 0 ? ['-'] : o.words) {
    let list: string;
    try {
      list = file === '-' ? yield* readRest(0) : yield* readText(file);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`${name}: ${file}: ${strerror(error)}\n`);
      return 1;
    }
    for (const line of list.split('\n').filter((l) => l !== '')) {
      const m = new RegExp(`^([0-9a-fA-F]{${ALGORITHMS[name].length}}) [ *](.*)$`).exec(line);
      if (!m) {
        malformed++;
        continue;
      }
      try {
        const fd = yield* sys('openat', AT_FDCWD, m[2]!, O_RDONLY);
        const same = (yield* digestOf(name, fd)) === m[1]!.toLowerCase();
        yield* sys('close', fd);
        if (same) good++;
        else failed++;
        if (!o.on.has('status') && !(same && o.on.has('quiet'))) yield* print(`${m[2]!}: ${same ? 'OK' : 'FAILED'}\n`);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        if (o.on.has('ignore-missing') && error.errno === 'ENOENT') continue;
        yield* complain(`${name}: ${m[2]!}: ${strerror(error)}\n`);
        if (!o.on.has('status')) yield* print(`${m[2]!}: FAILED open or read\n`);
        unread++;
      }
    }
    if (good + failed + unread === 0) throw new Failed(`${file === '-' ? "'standard input'" : file}: no properly formatted checksum lines found`);
  }
  const warn = function* (n: number, one: string, many: string): Call<void> {
    if (n > 0 && !o.on.has('status')) yield* complain(`${name}: WARNING: ${n} ${n === 1 ? one : many}\n`);
  };
  yield* warn(malformed, 'line is improperly formatted', 'lines are improperly formatted');
  yield* warn(unread, 'listed file could not be read', 'listed files could not be read');
  yield* warn(failed, 'computed checksum did NOT match', 'computed checksums did NOT match');
  return failed + unread > 0 || (malformed > 0 && o.on.has('strict')) ? 1 : 0;
}

export const digests: Readonly<Record<Name, Program>> = {
  md5sum: digest('md5sum'), sha1sum: digest('sha1sum'), sha256sum: digest('sha256sum'), sha384sum: digest('sha384sum'), sha512sum: digest('sha512sum'),
};

export const base64 = command(function* (argv) {
  const o = parseOptions('d/decode D i/ignore-garbage w/wrap=', argv.slice(1));
  if (o.words.length > 1) throw new BadOption(`extra operand ${curly(o.words[1]!)}`);
  const width = Number(lastValue(o, 'wrap') ?? 76);
  if (Number.isNaN(width)) throw new Failed(`invalid wrap size: ${curly(lastValue(o, 'wrap')!)}`);
  return yield* eachInput('base64', o.words, function* ({ fd }) {
    if (o.on.has('decode')) return yield* decode(yield* readRest(fd), o.on.has('ignore-garbage'));
    const text = toBase64(yield* drain(fd));
    const out = createOut();
    for (let at = 0; at < text.length; at += width || text.length) yield* put(out, `${text.slice(at, width ? at + width : undefined)}${width ? '\n' : ''}`);
    yield* flush(out);
  });
});

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function* decode(source: string, forgiving: boolean): Call<void> {
  let out = '';
  let held = 0;
  let bits = 0;
  let wrong = false;
  for (const c of source) {
    if (c === '\n' || c === '=') continue;
    const value = ALPHABET.indexOf(c);
    if (value < 0) {
      if (forgiving) continue;
      wrong = true;
      break;
    }
    held = ((held << 6) | value) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += String.fromCharCode((held >> bits) & 255);
    }
  }
  yield* putOut(out);
  if (wrong || (!forgiving && source.replace(/\n/g, '').length % 4 !== 0)) throw new Failed('invalid input');
}

