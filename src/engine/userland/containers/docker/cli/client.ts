/** What the docker command says to the daemon: HTTP over its unix socket, JSON in and out, errors in the daemon's words. */
import { SysError } from '../../../../kernel/abi.ts';
import type { SockAddr } from '../../../../kernel/sys.ts';
import { text } from '../../../../sim/text.ts';
import { formatQuery, joinBytes } from '../../../../sim/wire.ts';
import { type Call, open, request, type Stream, upgrade } from '../../../lib/http.ts';

export interface Client {
  address: SockAddr;
  /** As -H gives it. */
  host: string;
  env: Readonly<Record<string, string>>;
}

/** The daemon refused; the message is its own. */
export class ApiError extends Error {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** Ends the command: the message goes to stderr as it stands. */
export class Stop extends Error {
  readonly status: number;
  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

export type Json = Record<string, unknown>;
// biome-ignore lint/suspicious/noExplicitAny: the shapes are the API's; the daemon that sends them is in this tree
export type Any = any;
export interface Options {
  query?: Readonly<Record<string, string | number | undefined>>;
  body?: unknown;
  raw?: Uint8Array;
}

const API = '/v1.45';

function pathOf(path: string, options: Options): string {
  const query = formatQuery(options.query ?? {});
  return `${API}${path}${query === '' ? '' : `?${query}`}`;
}

function bodyOf(options: Options): { body?: string | Uint8Array; headers: Record<string, string> } {
  if (options.raw) return { body: options.raw, headers: { 'Content-Type': 'application/x-tar' } };
  return options.body === undefined
    ? { headers: {} }
    : { body: JSON.stringify(options.body), headers: { 'Content-Type': 'application/json' } };
}

function* reach<T>(client: Client, call: Call<T>): Call<T> {
  try {
    return yield* call;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.errno === 'EACCES') {
      throw new Stop(`permission denied while trying to connect to the Docker daemon socket at ${client.host}: connect: permission denied`);
    }
    if (error.errno === 'EPIPE' || error.errno === 'EINTR') throw error;
    throw new Stop(`Cannot connect to the Docker daemon at ${client.host}. Is the docker daemon running?`);
  }
}

function failure(status: number, body: string): ApiError {
  try {
    return new ApiError(String((JSON.parse(body) as { message?: unknown }).message ?? body), status);
  } catch {
    return new ApiError(body.trim(), status);
  }
}

/** One question, its answer as JSON (null when there is no body). Throws ApiError. */
export function* api(client: Client, method: string, path: string, options: Options = {}): Call<Any> {
  const answer = yield* reach(client, request(client.address, { method, path: pathOf(path, options), ...bodyOf(options) }));
  if (answer.status >= 400) throw failure(answer.status, answer.body);
  return answer.body.trim() === '' || answer.status === 304 ? null : JSON.parse(answer.body);
}

/** An answer whose body keeps coming. Throws ApiError. */
export function* stream(client: Client, method: string, path: string, options: Options = {}): Call<Stream> {
  const opened = yield* reach(client, open(client.address, { method, path: pathOf(path, options), ...bodyOf(options) }));
  if (opened.status < 400) return opened;
  throw yield* failed(opened);
}

/** A raw connection both ways. Throws ApiError. */
export function* connect(client: Client, path: string, options: Options = {}): Call<{ stream: Stream; rest: Uint8Array }> {
  const opened = yield* reach(client, upgrade(client.address, { method: 'POST', path: pathOf(path, options), ...bodyOf(options) }));
  if (opened.stream.status === 101) return opened;
  throw yield* failed(opened.stream);
}

function* failed(opened: Stream): Call<ApiError> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const chunk = yield* opened.readChunk();
    if (chunk === null) break;
    parts.push(chunk);
  }
  yield* opened.close();
  return failure(opened.status, text(joinBytes(parts)));
}

/** Lines of JSON as they arrive. */
export function* lines(opened: Stream, each: (line: Any) => Call<void>): Call<void> {
  let held: Uint8Array = new Uint8Array(0);
  for (;;) {
    const chunk = yield* opened.readChunk();
    if (chunk === null) break;
    held = held.length === 0 ? chunk : joinBytes([held, chunk]);
    for (let end = held.indexOf(10); end >= 0; end = held.indexOf(10)) {
      const line = text(held.subarray(0, end));
      held = held.subarray(end + 1);
      if (line.trim() !== '') yield* each(JSON.parse(line));
    }
  }
  if (text(held).trim() !== '') yield* each(JSON.parse(text(held)));
}

/** The filters query of a list of "name=value" flags; undefined when there is none. */
export function filtersOf(values: readonly string[]): string | undefined {
  if (values.length === 0) return undefined;
  const filters: Record<string, Record<string, true>> = {};
  for (const value of values) {
    const cut = value.indexOf('=');
    const name = value.slice(0, cut).trim().toLowerCase();
    filters[name] = { ...filters[name], [value.slice(cut + 1).trim()]: true };
  }
  return JSON.stringify(filters);
}
