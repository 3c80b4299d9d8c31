/**
 * HTTP/1.1 messages as bytes, both ways, without any socket: an incremental parser that is fed what arrived and returns
 * what it means, and functions that format heads and chunks. The docker socket, the container runtime interface and the
 * Kubernetes API all speak it. Source: RFC 9112. Left out: trailers (read and dropped), obsolete line folding, pipelining
 * of a request behind an upgrade (what follows an upgraded head is raw bytes).
 */
import { bytes, text } from './text.ts';

export type Headers = Readonly<Record<string, string>>;

/** Start line and headers; header names are lower case, repeated ones joined by ", ". */
export interface Head {
  /** Of a request; empty in a response. */
  method: string;
  /** Of a request: path with query. */
  target: string;
  /** Of a response; 0 in a request. */
  status: number;
  reason: string;
  headers: Record<string, string>;
  /** As it came, without the empty line. */
  raw: string;
}

export type WireEvent =
  | { type: 'head'; head: Head }
  | { type: 'body'; data: Uint8Array }
  | { type: 'end' }
  /** Bytes after an upgraded (101) head: no longer HTTP. */
  | { type: 'raw'; data: Uint8Array }
  | { type: 'error'; reason: string };

export interface WireParser {
  role: 'request' | 'response';
  state: 'head' | 'sized' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailer' | 'until-close' | 'raw' | 'failed';
  held: Uint8Array;
  /** Bytes of the body or chunk still to come. */
  left: number;
  /** A response to HEAD has no body whatever its headers say. */
  bodiless: boolean;
}

const MAX_HEAD = 64 * 1024;
const NONE = new Uint8Array(0);

export function createParser(role: 'request' | 'response'): WireParser {
  return { role, state: 'head', held: NONE, left: 0, bodiless: false };
}

/** What the next bytes mean. After an error the parser answers nothing more. */
export function feed(parser: WireParser, data: Uint8Array): WireEvent[] {
  const events: WireEvent[] = [];
  parser.held = parser.held.length === 0 ? data : joinBytes([parser.held, data]);
  while (step(parser, events));
  return events;
}

/** The peer has closed: ends a body that runs until then; an unfinished message is an error. */
export function finish(parser: WireParser): WireEvent[] {
  if (parser.state === 'until-close') {
    parser.state = 'head';
    return [{ type: 'end' }];
  }
  if (parser.state === 'raw' || parser.state === 'failed' || (parser.state === 'head' && parser.held.length === 0)) return [];
  parser.state = 'failed';
  return [{ type: 'error', reason: 'unexpected EOF' }];
}

function step(parser: WireParser, events: WireEvent[]): boolean {
  switch (parser.state) {
    case 'head':
      return stepHead(parser, events);
    case 'sized':
      return stepSized(parser, events, 'end');
    case 'chunk':
      return stepSized(parser, events, 'chunk-end');
    case 'chunk-size':
      return stepChunkSize(parser, events);
    case 'chunk-end':
    case 'trailer':
      return stepLine(parser, events);
    case 'until-close':
    case 'raw':
      if (parser.held.length === 0) return false;
      events.push({ type: parser.state === 'raw' ? 'raw' : 'body', data: parser.held });
      parser.held = NONE;
      return false;
    case 'failed':
      parser.held = NONE;
      return false;
  }
}

function fail(parser: WireParser, events: WireEvent[], reason: string): false {
  parser.state = 'failed';
  parser.held = NONE;
  events.push({ type: 'error', reason });
  return false;
}

function stepHead(parser: WireParser, events: WireEvent[]): boolean {
  const end = indexOfBlankLine(parser.held);
  if (end < 0) return parser.held.length > MAX_HEAD ? fail(parser, events, 'header too large') : false;
  const head = parseHead(parser.role, text(parser.held.subarray(0, end)));
  parser.held = parser.held.subarray(end + 4);
  if (typeof head === 'string') return fail(parser, events, head);
  events.push({ type: 'head', head });
  const length = head.headers['content-length'];
  const bodiless = parser.role === 'response' && (parser.bodiless || head.status === 204 || head.status === 304);
  if (head.status === 101) parser.state = 'raw';
  else if (bodiless) events.push({ type: 'end' });
  else if (/\bchunked\b/i.test(head.headers['transfer-encoding'] ?? '')) parser.state = 'chunk-size';
  else if (length !== undefined) {
    if (!/^\d{1,12}$/.test(length)) return fail(parser, events, `bad Content-Length "${length}"`);
    parser.left = Number(length);
    if (parser.left === 0) events.push({ type: 'end' });
    else parser.state = 'sized';
  } else if (parser.role === 'response') parser.state = 'until-close';
  else events.push({ type: 'end' });
  return true;
}

function stepSized(parser: WireParser, events: WireEvent[], then: 'end' | 'chunk-end'): boolean {
  if (parser.held.length === 0) return false;
  const data = parser.held.subarray(0, parser.left);
  parser.held = parser.held.subarray(data.length);
  parser.left -= data.length;
  events.push({ type: 'body', data });
  if (parser.left > 0) return false;
  if (then === 'end') events.push({ type: 'end' });
  parser.state = then === 'end' ? 'head' : 'chunk-end';
  return true;
}

function takeLine(parser: WireParser): string | null {
  const end = parser.held.indexOf(10);
  if (end < 0) return null;
  const line = text(parser.held.subarray(0, end)).replace(/\r$/, '');
  parser.held = parser.held.subarray(end + 1);
  return line;
}

function stepChunkSize(parser: WireParser, events: WireEvent[]): boolean {
  const line = takeLine(parser);
  if (line === null) return parser.held.length > 1024 ? fail(parser, events, 'malformed chunked encoding') : false;
  const size = /^([0-9a-fA-F]{1,8})\s*(;.*)?$/.exec(line);
  if (!size) return fail(parser, events, 'malformed chunked encoding');
  parser.left = Number.parseInt(size[1]!, 16);
  parser.state = parser.left === 0 ? 'trailer' : 'chunk';
  return true;
}

/** The line end after a chunk, or trailers up to a blank line. */
function stepLine(parser: WireParser, events: WireEvent[]): boolean {
  const line = takeLine(parser);
  if (line === null) return false;
  if (parser.state === 'chunk-end') {
    if (line !== '') return fail(parser, events, 'malformed chunked encoding');
    parser.state = 'chunk-size';
  } else if (line === '') {
    events.push({ type: 'end' });
    parser.state = 'head';
  }
  return true;
}

function indexOfBlankLine(data: Uint8Array): number {
  for (let i = data.indexOf(13); i >= 0 && i + 3 < data.length; i = data.indexOf(13, i + 1)) {
    if (data[i + 1] === 10 && data[i + 2] === 13 && data[i + 3] === 10) return i;
  }
  return -1;
}

function parseHead(role: 'request' | 'response', source: string): Head | string {
  const [start = '', ...lines] = source.split('\r\n');
  const head: Head = { method: '', target: '', status: 0, reason: '', headers: {}, raw: source };
  if (role === 'request') {
    const match = /^([A-Z]+) (\S+) HTTP\/1\.[01]$/.exec(start);
    if (!match) return `malformed HTTP request "${start.slice(0, 80)}"`;
    head.method = match[1]!;
    head.target = match[2]!;
  } else {
    const match = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/.exec(start);
    if (!match) return `malformed HTTP response "${start.slice(0, 80)}"`;
    head.status = Number(match[1]);
    head.reason = match[2] ?? '';
  }
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon <= 0) return `malformed MIME header line: ${line.slice(0, 80)}`;
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === '__proto__') continue;
    head.headers[name] = head.headers[name] === undefined ? value : `${head.headers[name]}, ${value}`;
  }
  return head;
}

const REASONS: Readonly<Record<number, string>> = {
  100: 'Continue', 101: 'UPGRADED', 200: 'OK', 201: 'Created', 202: 'Accepted', 204: 'No Content', 304: 'Not Modified', 400: 'Bad Request',
  401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 406: 'Not Acceptable', 409: 'Conflict', 410: 'Gone',
  413: 'Request Entity Too Large', 415: 'Unsupported Media Type', 422: 'Unprocessable Entity', 429: 'Too Many Requests',
  500: 'Internal Server Error', 501: 'Not Implemented', 503: 'Service Unavailable', 504: 'Gateway Timeout',
};

/** A whole request; a body brings its Content-Length. */
export function formatRequest(method: string, target: string, headers: Headers, body?: Uint8Array | string): Uint8Array {
  return formatMessage(`${method} ${target} HTTP/1.1`, headers, body, method !== 'GET' && method !== 'HEAD' && method !== 'DELETE');
}

/** A whole response with its Content-Length. */
export function formatResponse(status: number, headers: Headers, body?: Uint8Array | string): Uint8Array {
  return formatMessage(`HTTP/1.1 ${status} ${REASONS[status] ?? 'Status'}`, headers, body, status >= 200 && status !== 204 && status !== 304);
}

/** The head of a response whose body follows as chunks (`formatChunk`, `LAST_CHUNK`), or of an upgrade (101). */
export function formatStreamHead(status: number, headers: Headers): Uint8Array {
  const streamed: Headers = status === 101 ? headers : { ...headers, 'Transfer-Encoding': 'chunked' };
  return formatMessage(`HTTP/1.1 ${status} ${REASONS[status] ?? 'Status'}`, streamed, undefined, false);
}

export function formatChunk(data: Uint8Array | string): Uint8Array {
  const body = typeof data === 'string' ? bytes(data) : data;
  if (body.length === 0) return NONE;
  return joinBytes([bytes(`${body.length.toString(16)}\r\n`), body, bytes('\r\n')]);
}

export const LAST_CHUNK: Uint8Array = bytes('0\r\n\r\n');

function formatMessage(start: string, headers: Headers, body: Uint8Array | string | undefined, sized: boolean): Uint8Array {
  const data = body === undefined ? NONE : typeof body === 'string' ? bytes(body) : body;
  let head = `${start}\r\n`;
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value.replace(/[\r\n]+/g, ' ')}\r\n`;
  if ((sized || data.length > 0) && headers['Content-Length'] === undefined) head += `Content-Length: ${data.length}\r\n`;
  return joinBytes([bytes(`${head}\r\n`), data]);
}

/** Path and decoded query of a request target. */
export function splitTarget(target: string): { path: string; query: Record<string, string> } {
  const at = target.indexOf('?');
  const query: Record<string, string> = {};
  if (at < 0) return { path: target, query };
  for (const part of target.slice(at + 1).split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = unescapeQuery(equals < 0 ? part : part.slice(0, equals));
    if (name !== '__proto__') query[name] = equals < 0 ? '' : unescapeQuery(part.slice(equals + 1));
  }
  return { path: target.slice(0, at), query };
}

/** A query string without its "?"; undefined values are left out. */
export function formatQuery(query: Readonly<Record<string, string | number | undefined>>): string {
  return Object.entries(query)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`)
    .join('&');
}

function unescapeQuery(part: string): string {
  const spaced = part.replace(/\+/g, ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
