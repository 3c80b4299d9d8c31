/**
 * Reading a descriptor line by line and not a byte further, so that what follows is left for the next reader: by steps of one
 * where it cannot be rewound, by blocks where it can. Source: POSIX sh, read utility.
 */
import { SEEK_CUR } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { text } from '../../sim/text.ts';
import { joinBytes } from '../../sim/wire.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';

/** Bytes up to and with the delimiter; fewer at end of file. */
export function* readUntil(fd: number, delimiter: number): Call<Uint8Array> {
  const at = yield* attempt(sys('lseek', fd, 0, SEEK_CUR), -1);
  const parts: Uint8Array[] = [];
  for (;;) {
    const data = yield* sys('read', fd, at >= 0 ? 4096 : 1);
    if (data.length === 0) return joinBytes(parts);
    const found = data.indexOf(delimiter);
    if (found < 0) {
      parts.push(data);
      continue;
    }
    parts.push(data.subarray(0, found + 1));
    if (found + 1 < data.length) yield* sys('lseek', fd, found + 1 - data.length, SEEK_CUR);
    return joinBytes(parts);
  }
}

/** The next line without its newline; null at end of file. */
export function* readLine(fd: number): Call<string | null> {
  const data = yield* readUntil(fd, 10);
  if (data.length === 0) return null;
  return text(data.at(-1) === 10 ? data.subarray(0, -1) : data);
}
