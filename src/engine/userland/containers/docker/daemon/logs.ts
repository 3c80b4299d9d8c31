/** GET /containers/ID/logs and attach's replay: lines of the log, the newest, between two times, followed. */
import { bytes } from '../../../../sim/text.ts';
import { parseIso } from '../../../lib/clock.ts';
import { beginStream, type Call, endStream, type Exchange, writeChunk } from '../../../lib/http.ts';
import { logFileOf, type LogLine, readLog } from './logfile.ts';
import { type Container, Refused } from './state.ts';
import { frame } from './streams.ts';
import { waitWhile } from './waiters.ts';

/** With details its attributes stand before it, or a blank. */
function encode(c: Container, line: LogLine, timestamps: boolean, details = false): Uint8Array {
  const attrs = Object.entries(line.attrs ?? {}).map(([k, v]) => `${k}=${v}`).join(',');
  const log = details ? `${attrs} ${line.log}` : line.log;
  const text = timestamps ? `${padded(line.time)} ${log}` : log;
  return c.Config.Tty ? bytes(text) : frame(line.stream === 'stderr' ? 2 : 1, bytes(text));
}

/** Nine digits of a second, as the log's reader prints them. */
function padded(time: string): string {
  const m = /^(.*?)(?:\.(\d+))?Z$/.exec(time)!;
  return `${m[1]}.${(m[2] ?? '').padEnd(9, '0')}Z`;
}

export function* serveLogs(c: Container, x: Exchange): Call<void> {
  const { query } = x;
  const on = (name: string): boolean => query[name] === '1' || query[name] === 'true';
  if (!on('stdout') && !on('stderr')) throw new Refused(400, 'Bad parameters: you must choose at least one stream');
  const file = c.live.streams?.log ?? logFileOf(c);
  if (!file) throw new Refused(501, 'configured logging driver does not support reading');
  const since = query.since ? Number(query.since) * 1e9 : 0;
  const until = query.until && query.until !== '0' ? Number(query.until) * 1e9 : Number.POSITIVE_INFINITY;
  const wanted = (l: LogLine): boolean => on(l.stream) && parseIso(l.time) >= since && parseIso(l.time) <= until;
  yield* beginStream(x, 200, {
    'Content-Type': c.Config.Tty ? 'application/vnd.docker.raw-stream' : 'application/vnd.docker.multiplexed-stream',
  });
  const tail = /^\d+$/.test(query.tail ?? '') ? Number(query.tail) : -1;
  let seen = 0;
  for (let first = true; ; first = false) {
    const going = (): boolean => c.State.Running || (c.live.streams?.readers ?? 0) > 0;
    const last = !on('follow') || !going();
    const count = c.live.streams?.lines ?? 0;
    const all = yield* readLog(file);
    const shown = all.slice(Math.max(0, seen - file.dropped)).filter(wanted);
    seen = file.dropped + all.length;
    for (const line of !first || tail < 0 ? shown : tail === 0 ? [] : shown.slice(-tail))
      yield* writeChunk(x, encode(c, line, on('timestamps'), on('details')));
    if (last) break;
    yield* waitWhile(c.live.logged, () => going() && (c.live.streams?.lines ?? 0) === count);
  }
  yield* endStream(x);
}

/** What was logged so far, for a client that attaches with logs=1. */
export function* replay(c: Container, write: (data: Uint8Array) => Call<void>): Call<void> {
  const file = c.live.streams?.log ?? logFileOf(c);
  for (const line of file ? yield* readLog(file) : []) yield* write(encode(c, line, false));
}
