/** `nestbox run`: types a script at the first terminal of a world and prints what the terminal showed, views and the hash. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Cell } from '../bridge/protocol.ts';
import { toBase64 } from '../engine/sim/text.ts';
import { BadRecording, parseRecording } from '../engine/world/recording.ts';
import { BadScenario } from '../engine/world/scenario.ts';
import { createTypist, parseDuration, perform, script, TimeUp, type Typist, waitForPrompt } from '../engine/world/typist.ts';
import { advanceSome, createWorld, openRecording, toRecording, type World, worldHash } from '../engine/world/world.ts';
import { VIEWS } from '../engine/views/views.ts';
import { bytesOf, options, textOf, Usage } from './arguments.ts';
import { loadAssets } from './assets.ts';

/** Simulated time without `--until`: this, and what the script itself says it waits (`# wait 8m`, `sleep 480`). */
const USUAL = '10m';
const REAL = '60s';

interface Show {
  view: string;
  arg: Record<string, Cell>;
}

export function run(args: string[]): number {
  const { values } = options(
    args,
    {
      scenario: { type: 'string' }, seed: { type: 'string' }, file: { type: 'string', multiple: true }, script: { type: 'string' },
      show: { type: 'string', multiple: true }, format: { type: 'string', default: 'text' }, until: { type: 'string' }, real: { type: 'string', default: REAL },
      record: { type: 'string' }, replay: { type: 'string' }, hash: { type: 'boolean', default: false }, quiet: { type: 'boolean', default: false },
    },
    { min: 0, max: 0, name: '' },
  );
  if (values.format !== 'text' && values.format !== 'json') throw new Usage(`--format is text or json, not '${values.format}'`);
  const shows = (values.show ?? []).map(parseShow);
  const files = (values.file ?? []).map(parseFile);
  const source = scriptOf(values);
  const until = values.until === undefined ? duration(USUAL) + waits(source ?? '') : duration(values.until);
  const real = duration(values.real!) / 1e6;
  const json = values.format === 'json';
  const world = build(values);
  const ends = Date.now() + real;
  const out = new Screen(json || values.quiet!);
  const typist: Typist = createTypist(world, { until, expired: () => Date.now() > ends, show: (tty, data) => out.show(tty, data, typist.tty) });
  let status = 0;
  try {
    if (values.replay !== undefined) {
      const target = parseRecording(textOf(values.replay)).until;
      while (!advanceSome(world, target, () => Date.now() > ends)) throw new TimeUp('time is up');
    }
    for (const action of files) perform(typist, action);
    status = typeScript(typist, source, values.quiet!, json, out);
  } catch (error) {
    if (error instanceof TimeUp) {
      const more = world.timeline.now >= typist.deadline ? '; --until DURATION allows more' : Date.now() > ends ? `, ${real / 1000} s real; --real DURATION allows more` : '';
      console.error(`nestbox run: ${error.message} at ${(world.timeline.now / 1e9).toFixed(3)} s simulated${more}`);
      status = 124;
    } else {
      status = fault(world, error);
    }
  }
  out.end();
  for (const { t, who, text } of world.crashes) console.error(`nestbox run: at ${(t / 1e9).toFixed(3)} s ${who} was ended by a fault of its model: ${text}`);
  if (status !== 70) for (const show of shows) console.log(JSON.stringify({ view: show.view, rows: VIEWS[show.view]!.rows(world, show.arg) }));
  if (values.hash) console.log(worldHash(world));
  if (values.record !== undefined) writeFileSync(values.record, `${JSON.stringify(toRecording(world))}\n`);
  return status;
}

/** What is to be typed; undefined for a replay alone. */
function scriptOf(values: { script?: string; replay?: string }): string | undefined {
  const source = values.script !== undefined ? textOf(values.script) : values.replay === undefined || !process.stdin.isTTY ? standardInput() : '';
  return source === '' && values.replay !== undefined ? undefined : source;
}

/** How long a script says that it waits, in ns: its `# wait` directives and its plain `sleep N` lines. */
function waits(source: string): number {
  let sum = 0;
  for (const [, time] of source.matchAll(/^(?:#\s*wait|sleep)\s+(\d+(?:\.\d+)?(?:ns|us|ms|[smh])?)\s*$/gm)) sum += parseDuration(/[a-z]$/.test(time!) ? time! : `${time}s`);
  return sum;
}

function typeScript(typist: Typist, source: string | undefined, quiet: boolean, json: boolean, out: Screen): number {
  let status = 0;
  let last = -1;
  if (source === undefined) return status;
  waitForPrompt(typist);
  script(typist, source.split('\n').filter((command) => command.trim() !== ''), (done) => {
    if (done.at >= last) {
      last = done.at;
      status = done.exit ?? 0;
    }
    if (json) console.log(JSON.stringify(done));
    else if (quiet) out.plain(done.stdout, done.stderr);
  });
  return status;
}

function standardInput(): string {
  if (process.stdin.isTTY) return '';
  try {
    return readFileSync(0, 'utf8');
  } catch {
    return '';
  }
}

function build(values: { scenario?: string; seed?: string; replay?: string }): World {
  const seed = values.seed === undefined ? undefined : Number(values.seed);
  if (seed !== undefined && !(Number.isInteger(seed) && seed >= 0 && seed <= 0xffffffff)) throw new Usage(`--seed is a whole number, not '${values.seed}'`);
  try {
    const assets = loadAssets();
    if (values.replay !== undefined) return openRecording(assets, parseRecording(textOf(values.replay)));
    const scenario = values.scenario ?? 'lab';
    return createWorld(assets, existsSync(scenario) && /\.ya?ml$/.test(scenario) ? textOf(scenario) : scenario, seed);
  } catch (error) {
    if (error instanceof BadScenario || error instanceof BadRecording) throw new Usage(error.message);
    throw error;
  }
}

/** The engine failed: say so, keep the recording. */
function fault(world: World, error: unknown): number {
  const path = join(mkdtempSync(join(tmpdir(), 'nestbox-')), 'fault.nestbox.json');
  const { hash: _, ...recording } = { ...toRecording(world) };
  writeFileSync(path, `${JSON.stringify(recording)}\n`);
  console.error(`nestbox run: the engine failed: ${error instanceof Error ? error.stack : error}`);
  console.error(`nestbox run: the recording is ${path}`);
  return 70;
}

function parseShow(text: string): Show {
  const [view, rest] = text.split(/:(.*)/s) as [string, string | undefined];
  if (!VIEWS[view]) throw new Usage(`no view '${view}': ${Object.keys(VIEWS).join(', ')}`);
  const arg: Record<string, Cell> = {};
  for (const pair of (rest ?? '').split(',').filter(Boolean)) {
    const at = pair.indexOf('=');
    if (at < 1) throw new Usage(`--show ${text}: '${pair}' is not key=value`);
    arg[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return { view, arg };
}

function parseFile(text: string): { do: 'file'; name: string; base64: string } {
  const at = text.indexOf('=');
  const [name, path] = at < 0 ? [basename(text), text] : [text.slice(0, at), text.slice(at + 1)];
  return { do: 'file', name, base64: toBase64(bytesOf(path)) };
}

function duration(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new Usage((error as Error).message);
  }
}

/**
 * What the terminals show as plain text: escape codes and carriage returns taken out, whole lines. A terminal that nothing
 * was typed at keeps what it shows to itself until something is.
 */
class Screen {
  private readonly unfinished = new Map<string, string>();
  private readonly used = new Set<string>();
  private readonly silent: boolean;
  constructor(silent: boolean) {
    this.silent = silent;
  }

  /** `front` is the terminal that is typed at now. */
  show(tty: string, data: string, front: string): void {
    if (this.silent) return;
    this.used.add(front);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape codes are what is taken out
    const clean = ((this.unfinished.get(tty) ?? '') + data).replace(/\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[=>()][0B]?|\x07/g, '');
    const cut = this.used.has(tty) ? clean.lastIndexOf('\n') + 1 : 0;
    this.unfinished.set(tty, clean.slice(cut));
    if (cut > 0) process.stdout.write(clean.slice(0, cut).replaceAll('\r\n', '\n'));
  }

  plain(stdout: string, stderr: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape codes are what is taken out
    const strip = (s: string): string => s.replace(/\x1b\[[0-9;?]*[ -/]*[@-~]/g, '');
    process.stdout.write(strip(stdout));
    process.stderr.write(strip(stderr));
  }

  end(): void {
    if (this.silent) return;
    for (const tty of this.used) {
      const rest = this.unfinished.get(tty) ?? '';
      if (rest !== '') process.stdout.write(`${rest.replaceAll('\r', '')}\n`);
    }
  }
}
