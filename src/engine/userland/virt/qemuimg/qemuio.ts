/** qemu-io: reads, writes and waits on a disk image, one command after another. Left out: asynchronous ones, its own shell's help. Source: qemu-io(1). */
import { sys } from '../../../kernel/sys.ts';
import { lastValue, parseOptions } from '../../lib/args.ts';
import type { Call } from '../../lib/http.ts';
import { complain, Failed, print } from '../../lib/io.ts';
import { warnProbed } from './change.ts';
import { closeDisk, type Disk, openDisk, pieceAt, readDisk, writeDisk } from './disk.ts';
import { ImageError } from './format.ts';
import { openingOf } from './info.ts';
import { guarded, VERSION } from './qemuimg.ts';
import { optionsOf, sizeOf } from './sizes.ts';

export const qemuIo = guarded('qemu-io', function* (argv) {
  const o = optionsOf('f= c= r/read-only U/force-share V/version', argv);
  if (o.on.has('version')) {
    yield* print(`qemu-io version ${VERSION}`);
    return 0;
  }
  const name = o.words[0];
  if (name === undefined) throw new Failed('not modelled: qemu-io without an image');
  let disk: Disk;
  try {
    disk = yield* openDisk(name, { ...openingOf(o), write: !o.on.has('read-only') });
  } catch (error) {
    if (error instanceof ImageError) throw new ImageError(`can't open device ${name}: ${error.message.replace(`Could not open '${name}': Could not`, 'Could not')}`);
    throw error;
  }
  if (!o.on.has('read-only')) yield* warnProbed(disk);
  let status = 0;
  for (const line of o.values.get('c') ?? []) if (!(yield* perform(disk, line.trim().split(/\s+/)))) status = 1;
  yield* closeDisk(disk);
  return status;
});

function* perform(disk: Disk, words: readonly string[]): Call<boolean> {
  const [command, ...rest] = words;
  if (command === 'sleep') yield* sys('nanosleep', Number(rest[0] ?? 0) * 1e6);
  else if (command === 'read' || command === 'r' || command === 'write' || command === 'w') return yield* transfer(disk, command[0] as 'r' | 'w', rest);
  else if (command === 'map') yield* showMap(disk);
  else if (command === 'length') yield* print(`${significantSize(disk.size)}\n`);
  else if (command !== 'flush' && command !== 'f' && command !== 'quit' && command !== 'q') {
    yield* complain(`command "${command}" not found\n`);
    return false;
  }
  return true;
}

function* transfer(disk: Disk, direction: 'r' | 'w', words: readonly string[]): Call<boolean> {
  const o = parseOptions('P= s= l= b C p q v u z n f', words);
  const name = direction === 'r' ? 'read' : 'write';
  if (o.words.length < 2) {
    yield* complain(`bad argument count ${words.length} to ${name}, expected at least 2 arguments\n`);
    return false;
  }
  const [offset, count] = [sizeOf(o.words[0]!), sizeOf(o.words[1]!)];
  for (const [value, word] of [[offset, o.words[0]], [count, o.words[1]]] as const) {
    if (Number.isFinite(value)) continue;
    yield* complain(`non-numeric length argument -- ${word}\n`);
    return false;
  }
  const pattern = lastValue(o, 'P');
  const started = yield* sys('clock_gettime', 'monotonic');
  if (offset + count > disk.size) {
    yield* complain(`${name} failed: Input/output error\n`);
    return false;
  }
  let good = true;
  if (direction === 'w') yield* writeDisk(disk, offset, new Uint8Array(count).fill(o.on.has('z') ? 0 : Number(pattern ?? 0xcd)));
  else good = yield* readBack(disk, offset, count, pattern === undefined ? null : Number(pattern), o.on.has('v'));
  const seconds = Math.max(1e-6, ((yield* sys('clock_gettime', 'monotonic')) - started) / 1e9);
  if (!o.on.has('q')) {
    yield* print(`${direction === 'r' ? 'read' : 'wrote'} ${count}/${count} bytes at offset ${offset}\n${significantSize(count)}, 1 ops; ${seconds.toFixed(2).padStart(5, '0')} sec (${significantSize(count / seconds)}/sec and ${(1 / seconds).toFixed(4)} ops/sec)\n`);
  }
  return good;
}

function* readBack(disk: Disk, offset: number, count: number, pattern: number | null, show: boolean): Call<boolean> {
  const data = yield* readDisk(disk, offset, count);
  const good = pattern === null || data.every((byte) => byte === pattern);
  if (!good) yield* print(`Pattern verification failed at offset ${offset}, ${count} bytes\n`);
  if (!show) return good;
  for (let at = 0; at < data.length; at += 16) {
    const row = [...data.subarray(at, at + 16)];
    yield* print(`${(offset + at).toString(16).padStart(8, '0')}:  ${row.map((byte) => `${byte.toString(16).padStart(2, '0')} `).join('')} ${row.map((byte) => (byte > 32 && byte < 127 ? String.fromCharCode(byte) : '.')).join('')}\n`);
  }
  return good;
}

function* showMap(disk: Disk): Call<void> {
  for (let at = 0; at < disk.size; ) {
    const piece = yield* pieceAt(disk, at, disk.size - at);
    let length = piece.length;
    const here = piece.present && piece.depth === 0;
    while (at + length < disk.size) {
      const next = yield* pieceAt(disk, at + length, disk.size - at - length);
      if ((next.present && next.depth === 0) !== here) break;
      length += next.length;
    }
    yield* print(`${significantSize(length)} (0x${length.toString(16)}) bytes ${here ? '    allocated' : 'not allocated'} at offset ${significantSize(at)} (0x${at.toString(16)})\n`);
    at += length;
  }
}

/** "1 MiB", "118.164 MiB", "512 bytes". */
function significantSize(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  let power = 0;
  while (bytes / 1024 ** power >= 1024 && power < 6) power++;
  return `${Number((bytes / 1024 ** power).toFixed(3))} ${units[power]}`;
}

