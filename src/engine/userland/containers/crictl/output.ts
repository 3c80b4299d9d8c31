/** How crictl prints: tables of text/tabwriter, JSON, YAML; ids cut to 13 characters; ages and sizes. */
import { stringify } from 'yaml';
import { TCGETS } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { isoNano, isoSeconds, nowNs } from '../../lib/clock.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { cri, refused } from '../../kube/cri.ts';
import { tabulate } from '../../kube/kubectl/tabwriter.ts';
import type { Message } from '../cri/state.ts';

export class CrictlError extends Error {}

const terminal = function* (): Call<boolean> {
  return (yield* attempt(sys('ioctl', 2, TCGETS), null)) !== null;
};

/** As logrus says things to a terminal and to a file. */
export function* logged(level: 'fatal' | 'warning', message: string): Call<void> {
  const mark = level === 'fatal' ? 'FATA' : 'WARN';
  yield* complain((yield* terminal()) ? `${mark}[0000] ${message} \n` : `time="${isoSeconds(yield* nowNs())}" level=${level} msg=${JSON.stringify(message)}\n`);
}

export const warning = (message: string): Call<void> => logged('warning', message);

/** One call; a refusal becomes crictl's message after what it was doing. */
export function* ask(doing: string, method: string, body: object): Call<Message> {
  const answer = yield* cri(method, body);
  if (!refused(answer)) return answer;
  const { error } = answer;
  throw new CrictlError(`${doing}: ${error.startsWith('rpc error') ? error : `rpc error: code = Unknown desc = ${error}`}`);
}

export function* table(rows: readonly (readonly string[])[]): Call<void> {
  yield* print(`${tabulate(rows.map((r) => r.join('\t')).join('\n'), 20, 3)}\n`);
}

export const short = (id: string): string => id.replace(/^sha256:/, '').slice(0, 13);

const TIMES: ReadonlySet<string> = new Set(['createdAt', 'startedAt', 'finishedAt']);

/** Times in ns as RFC 3339, keys sorted: what crictl makes of a status. */
export function readable(value: Message, key = ''): Message {
  if (TIMES.has(key) && typeof value === 'string') return value === '0' ? '0001-01-01T00:00:00Z' : isoNano(Number(value));
  if (Array.isArray(value)) return value.map((v) => readable(v));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.keys(value).sort().map((k) => [k, readable(value[k], k)]));
}

/** The parts of `info` are JSON in text. */
export function opened(info: Record<string, string> | undefined): Message {
  const out: Message = {};
  for (const [k, v] of Object.entries(info ?? {})) {
    try {
      const parsed = JSON.parse(v);
      if (k === 'info') Object.assign(out, parsed);
      else out[k] = parsed;
    } catch {
      out[k] = v;
    }
  }
  return out;
}

/** JSON or YAML; other words are refused. */
export function* structured(format: string, value: Message): Call<void> {
  if (format === 'json') yield* print(`${JSON.stringify(value, null, 2)}\n`);
  else if (format === 'yaml') yield* print(stringify(value));
  else throw new CrictlError(`unsupported output format "${format}"`);
}
