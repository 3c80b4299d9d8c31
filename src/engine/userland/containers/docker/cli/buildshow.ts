/**
 * How a build looks: every vertex with its notes and output line by line, or on a terminal a list that is drawn again as it
 * goes. Source: buildkit util/progress/progressui (textMux, ttyDisplay) as of buildx 0.13.
 */
import { TIOCGWINSZ, type Winsize } from '../../../../kernel/abi.ts';
import { type Body, sys } from '../../../../kernel/sys.ts';
import { attempt } from '../../../lib/files.ts';
import { type Call, thread } from '../../../lib/http.ts';
import { complain } from '../../../lib/io.ts';
import { wake, type Waiters, waitWhile } from '../daemon/waiters.ts';
import type { Any } from './client.ts';

interface Vertex {
  n: number;
  name: string;
  from: number;
  /** Seconds; null while it goes on. */
  took: number | null;
  cached: boolean;
  failed: boolean;
  notes: { text: string; took: number }[];
  logs: string[];
}

export interface Show {
  live: boolean;
  /** A name before each vertex, as compose puts it. */
  prefix: string;
  started: number;
  vertices: Vertex[];
  lines: number;
  drawn: boolean;
  alive: boolean;
  drawing: boolean;
  drawers: Waiters;
  idle: Waiters;
  first: boolean;
  /** Where plain lines go. */
  say(text: string): Call<void>;
}

const TICK = 150_000_000;
const TERM_LINES = 6;

export function* createShow(live: boolean, prefix = '', say: Show['say'] = complain): Call<Show> {
  const show: Show = { live, prefix, started: yield* sys('clock_gettime', 'monotonic'), vertices: [], lines: 0, drawn: false, alive: true, drawing: live, drawers: new Set(), idle: new Set(), first: true, say };
  if (live) yield* thread(() => drawer(show));
  return show;
}

function* drawer(show: Show): Body {
  while (show.alive) {
    yield* waitWhile(show.drawers, () => show.alive, TICK);
    if (show.alive) yield* draw(show, false);
  }
  show.drawing = false;
  yield* wake(show.idle);
  return 0;
}

/** The last drawing. */
export function* endShow(show: Show): Call<void> {
  if (!show.live || !show.alive) return;
  show.alive = false;
  yield* wake(show.drawers);
  yield* waitWhile(show.idle, () => show.drawing);
  yield* draw(show, true);
}

export const named = (show: Pick<Show, 'prefix'>, name: string): string => (show.prefix === '' ? name : name.startsWith('[') ? `[${show.prefix} ${name.slice(1)}` : `[${show.prefix}] ${name}`);

/** Takes one message of the daemon. */
export function* take(show: Show, m: Any): Call<void> {
  const now = yield* sys('clock_gettime', 'monotonic');
  const v = show.vertices.find((x) => x.n === (m.note ?? m.log ?? m.end)?.n);
  if (m.vertex) show.vertices.push({ n: m.vertex.n, name: named(show, m.vertex.name), from: now, took: null, cached: false, failed: false, notes: [], logs: [] });
  else if (m.note?.done && v) v.notes.push({ text: m.note.text, took: (now - v.from) / 1e9 });
  else if (m.log && v) v.logs.push(m.log.text);
  else if (m.end && v) Object.assign(v, { took: m.end.took, cached: m.end.cached === true, failed: m.end.error !== undefined });
  if (!show.live) yield* show.say(plain(show, m, v, now));
}

function plain(show: Show, m: Any, v: Vertex | undefined, now: number): string {
  if (m.vertex) {
    const head = show.first ? '#0 building with "default" instance using docker driver\n' : '';
    show.first = false;
    return `${head}\n#${m.vertex.n} ${named(show, m.vertex.name)}\n`;
  }
  if (m.note) return `#${m.note.n} ${m.note.text}${m.note.plain ? ' done' : m.note.done ? ` ${((now - (v?.from ?? now)) / 1e9).toFixed(1)}s done` : ''}\n`;
  if (m.log) return `#${m.log.n} ${m.log.at.toFixed(3)} ${m.log.text}\n`;
  if (m.end) return `#${m.end.n} ${m.end.cached ? 'CACHED' : m.end.error !== undefined ? `ERROR: ${m.end.error}` : `DONE ${m.end.took.toFixed(1)}s`}\n`;
  return '';
}

const coloured = (code: string, text: string): string => `\x1b[${code}m${text}\x1b[0m`;
/** Left and right at the two edges. */
const aligned = (left: string, right: string, width: number): string => `${left.padEnd(Math.max(0, width - right.length - 1))} ${right}`;

function* draw(show: Show, all: boolean): Call<void> {
  if (show.vertices.length === 0) return;
  const size = (yield* attempt(sys('ioctl', 2, TIOCGWINSZ), null)) as Winsize | null;
  const width = size?.cols || 80;
  const now = yield* sys('clock_gettime', 'monotonic');
  const done = show.vertices.filter((v) => v.took !== null && !v.failed).length;
  const finished = all && done === show.vertices.length ? 'FINISHED' : '';
  const rows = [aligned(`[+] Building ${((now - show.started) / 1e9).toFixed(1)}s (${done}/${show.vertices.length}) ${finished}`, 'docker:default', width - 1)];
  for (const v of show.vertices) rows.push(...rowsOf(v, width, now));
  const up = '\x1b[1A'.repeat(show.lines + 1) + (show.drawn ? '' : '\x1b[1B');
  const over = Math.max(0, show.lines - (rows.length - 1));
  const blank = over > 0 ? `${' '.repeat(width)}\n`.repeat(over) + `\x1b[${over}A\x1b[0G` : '';
  show.drawn = true;
  show.lines = rows.length - 1;
  yield* complain(`${up}\x1b[0G\x1b[?25l${rows.map((r) => `${r}\n`).join('')}${blank}\x1b[?25h`);
}

function rowsOf(v: Vertex, width: number, now: number): string[] {
  const seconds = v.took ?? (now - v.from) / 1e9;
  const row = (name: string, took: number): string => {
    const timer = ` ${(took < 0.05 ? 0 : took).toFixed(1).padStart(3)}s`;
    return aligned(` => ${name.slice(0, Math.max(0, width - 4 - timer.length - 2))}`, timer, width);
  };
  const colour = (text: string): string => (v.took === null ? text : coloured(v.failed ? '31' : '34', text));
  const out = [colour(row(`${v.failed ? 'ERROR ' : v.cached ? 'CACHED ' : ''}${v.name}`, seconds)), ...v.notes.map((n) => colour(row(`=> ${n.text}`, n.took)))];
  if (v.took === null) for (const l of v.logs.slice(-TERM_LINES)) out.push(coloured('2', ` => => # ${l}`.slice(0, width)));
  return out;
}
