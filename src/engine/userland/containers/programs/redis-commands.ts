/** What redis commands do to its keyspace: a table by name, with how many words each takes (negative: at least). */
import { type Reply } from './resp.ts';

export type Value = { kind: 'string'; text: string } | { kind: 'list'; items: string[] } | { kind: 'hash'; fields: Map<string, string> } | { kind: 'set'; members: Set<string> };

export interface Entry {
  value: Value;
  /** ms since 1970; null never. */
  expires: number | null;
}

export interface Keyspace {
  keys: Map<string, Entry>;
  /** ms since 1970. */
  now: number;
  commands: number;
  connections: number;
  clients: number;
  startedAt: number;
  pid: number;
}

const ok: Reply = { kind: 'simple', text: 'OK' };
const nil: Reply = { kind: 'bulk', text: null };
const integer = (value: number): Reply => ({ kind: 'integer', value });
const bulk = (text: string): Reply => ({ kind: 'bulk', text });
const list = (items: readonly string[]): Reply => ({ kind: 'array', items: items.map(bulk) });

class Wrong extends Error {}
const wrongType = (): never => {
  throw new Wrong('WRONGTYPE Operation against a key holding the wrong kind of value');
};

function entry(k: Keyspace, key: string): Entry | undefined {
  const e = k.keys.get(key);
  if (e?.expires !== null && e?.expires !== undefined && e.expires <= k.now) {
    k.keys.delete(key);
    return undefined;
  }
  return e;
}

function value<K extends Value['kind']>(k: Keyspace, key: string, kind: K): Extract<Value, { kind: K }> | undefined {
  const v = entry(k, key)?.value;
  if (v && v.kind !== kind) wrongType();
  return v as Extract<Value, { kind: K }> | undefined;
}

const EMPTY: { readonly [K in Value['kind']]: () => Extract<Value, { kind: K }> } = {
  string: () => ({ kind: 'string', text: '' }), list: () => ({ kind: 'list', items: [] }), hash: () => ({ kind: 'hash', fields: new Map() }), set: () => ({ kind: 'set', members: new Set() }),
};

function valueOrNew<K extends Value['kind']>(k: Keyspace, key: string, kind: K): Extract<Value, { kind: K }> {
  const known = value(k, key, kind);
  if (known) return known;
  const made = EMPTY[kind]();
  k.keys.set(key, { value: made, expires: null });
  return made;
}

function number(text: string): number {
  if (!/^-?\d{1,19}$/.test(text)) throw new Wrong('ERR value is not an integer or out of range');
  return Number(text);
}

function add(k: Keyspace, key: string, n: number): Reply {
  const v = valueOrNew(k, key, 'string');
  v.text = String(number(v.text === '' ? '0' : v.text) + n);
  return integer(Number(v.text));
}

function set(k: Keyspace, [key = '', text = '', ...options]: string[]): Reply {
  let expires: number | null = null;
  for (let i = 0; i < options.length; i++) {
    const word = options[i]!.toUpperCase();
    if (word === 'NX') {
      if (entry(k, key)) return nil;
    } else if (word === 'XX') {
      if (!entry(k, key)) return nil;
    } else if (word === 'KEEPTTL') expires = entry(k, key)?.expires ?? null;
    else if ((word === 'EX' || word === 'PX') && options[i + 1] !== undefined) expires = k.now + number(options[++i]!) * (word === 'EX' ? 1000 : 1);
    else throw new Wrong('ERR syntax error');
  }
  k.keys.set(key, { value: { kind: 'string', text }, expires });
  return ok;
}

function glob(pattern: string): RegExp {
  return new RegExp(`^${pattern.replace(/[.+^${}()|\\]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.')}$`, 's');
}

function range(items: readonly string[], from: string, to: string): string[] {
  const at = (n: number): number => (n < 0 ? items.length + n : n);
  return items.slice(Math.max(0, at(number(from))), at(number(to)) + 1);
}

function pop(k: Keyspace, key: string, end: 'shift' | 'pop'): Reply {
  const v = value(k, key, 'list');
  const taken = v?.items[end]();
  if (v?.items.length === 0) k.keys.delete(key);
  return taken === undefined ? nil : bulk(taken);
}

function expire(k: Keyspace, key: string, ms: number): Reply {
  const e = entry(k, key);
  if (e) e.expires = k.now + ms;
  return integer(e ? 1 : 0);
}

function ttl(k: Keyspace, key: string, unit: number): Reply {
  const e = entry(k, key);
  return integer(!e ? -2 : e.expires === null ? -1 : Math.round((e.expires - k.now) / unit));
}

/** Bytes that the keyspace takes, roughly as redis accounts them. */
export function bytesOf(k: Keyspace): number {
  let n = 0;
  for (const [key, e] of k.keys) {
    n += 96 + key.length;
    const { value: v } = e;
    if (v.kind === 'string') n += v.text.length;
    else if (v.kind === 'list') for (const i of v.items) n += 16 + i.length;
    else if (v.kind === 'hash') for (const [f, t] of v.fields) n += 32 + f.length + t.length;
    else for (const m of v.members) n += 32 + m.length;
  }
  return n;
}

function info(k: Keyspace): Reply {
  const up = Math.floor((k.now - k.startedAt) / 1000);
  const used = 1_000_000 + bytesOf(k);
  const lines = [
    '# Server', 'redis_version:8.2.3', 'redis_mode:standalone', 'os:Linux x86_64', `process_id:${k.pid}`, 'tcp_port:6379', `uptime_in_seconds:${up}`, `uptime_in_days:${Math.floor(up / 86400)}`, '',
    '# Clients', `connected_clients:${k.clients}`, '', '# Memory', `used_memory:${used}`, `used_memory_human:${(used / 1048576).toFixed(2)}M`, '',
    '# Stats', `total_connections_received:${k.connections}`, `total_commands_processed:${k.commands}`, '', '# Replication', 'role:master', 'connected_slaves:0', '', '# Keyspace',
    ...(k.keys.size > 0 ? [`db0:keys=${k.keys.size},expires=${[...k.keys.values()].filter((e) => e.expires !== null).length},avg_ttl=0`] : []),
  ];
  return bulk(`${lines.join('\r\n')}\r\n`);
}

type Run = (k: Keyspace, args: string[]) => Reply;

const COMMANDS: Readonly<Record<string, readonly [words: number, run: Run]>> = {
  PING: [-1, (_k, [text]) => (text === undefined ? { kind: 'simple', text: 'PONG' } : bulk(text))],
  ECHO: [2, (_k, [text]) => bulk(text!)],
  SET: [-3, set],
  SETNX: [3, (k, [key, text]) => integer(set(k, [key!, text!, 'NX']) === ok ? 1 : 0)],
  SETEX: [4, (k, [key, seconds, text]) => set(k, [key!, text!, 'EX', seconds!])],
  GET: [2, (k, [key]) => bulkOr(value(k, key!, 'string')?.text)],
  GETDEL: [2, (k, [key]) => {
    const found = bulkOr(value(k, key!, 'string')?.text);
    k.keys.delete(key!);
    return found;
  }],
  MSET: [-3, (k, args) => {
    for (let i = 0; i + 1 < args.length; i += 2) set(k, [args[i]!, args[i + 1]!]);
    return ok;
  }],
  MGET: [-2, (k, keys) => ({ kind: 'array', items: keys.map((key) => bulkOr(entry(k, key)?.value.kind === 'string' ? value(k, key, 'string')!.text : undefined)) })],
  DEL: [-2, (k, keys) => integer(keys.filter((key) => entry(k, key) && k.keys.delete(key)).length)],
  UNLINK: [-2, (k, keys) => integer(keys.filter((key) => entry(k, key) && k.keys.delete(key)).length)],
  EXISTS: [-2, (k, keys) => integer(keys.filter((key) => entry(k, key)).length)],
  INCR: [2, (k, [key]) => add(k, key!, 1)],
  DECR: [2, (k, [key]) => add(k, key!, -1)],
  INCRBY: [3, (k, [key, n]) => add(k, key!, number(n!))],
  DECRBY: [3, (k, [key, n]) => add(k, key!, -number(n!))],
  APPEND: [3, (k, [key, text]) => integer((valueOrNew(k, key!, 'string').text += text!).length)],
  STRLEN: [2, (k, [key]) => integer(value(k, key!, 'string')?.text.length ?? 0)],
  EXPIRE: [3, (k, [key, s]) => expire(k, key!, number(s!) * 1000)],
  PEXPIRE: [3, (k, [key, ms]) => expire(k, key!, number(ms!))],
  PERSIST: [2, (k, [key]) => {
    const e = entry(k, key!);
    const had = e !== undefined && e.expires !== null;
    if (e) e.expires = null;
    return integer(had ? 1 : 0);
  }],
  TTL: [2, (k, [key]) => ttl(k, key!, 1000)],
  PTTL: [2, (k, [key]) => ttl(k, key!, 1)],
  TYPE: [2, (k, [key]) => ({ kind: 'simple', text: entry(k, key!)?.value.kind ?? 'none' })],
  KEYS: [2, (k, [pattern]) => list([...k.keys.keys()].filter((key) => entry(k, key) && glob(pattern!).test(key)))],
  DBSIZE: [1, (k) => integer([...k.keys.keys()].filter((key) => entry(k, key)).length)],
  FLUSHALL: [-1, (k) => {
    k.keys.clear();
    return ok;
  }],
  FLUSHDB: [-1, (k) => {
    k.keys.clear();
    return ok;
  }],
  LPUSH: [-3, (k, [key, ...items]) => integer(valueOrNew(k, key!, 'list').items.unshift(...items.reverse()))],
  RPUSH: [-3, (k, [key, ...items]) => integer(valueOrNew(k, key!, 'list').items.push(...items))],
  LPOP: [2, (k, [key]) => pop(k, key!, 'shift')],
  RPOP: [2, (k, [key]) => pop(k, key!, 'pop')],
  LLEN: [2, (k, [key]) => integer(value(k, key!, 'list')?.items.length ?? 0)],
  LRANGE: [4, (k, [key, from, to]) => list(range(value(k, key!, 'list')?.items ?? [], from!, to!))],
  HSET: [-4, (k, [key, ...pairs]) => {
    const { fields } = valueOrNew(k, key!, 'hash');
    const before = fields.size;
    for (let i = 0; i + 1 < pairs.length; i += 2) fields.set(pairs[i]!, pairs[i + 1]!);
    return integer(fields.size - before);
  }],
  HGET: [3, (k, [key, field]) => bulkOr(value(k, key!, 'hash')?.fields.get(field!))],
  HDEL: [-3, (k, [key, ...fields]) => integer(fields.filter((f) => value(k, key!, 'hash')?.fields.delete(f)).length)],
  HGETALL: [2, (k, [key]) => list([...(value(k, key!, 'hash')?.fields ?? [])].flat())],
  SADD: [-3, (k, [key, ...members]) => {
    const set_ = valueOrNew(k, key!, 'set').members;
    const before = set_.size;
    for (const m of members) set_.add(m);
    return integer(set_.size - before);
  }],
  SMEMBERS: [2, (k, [key]) => list([...(value(k, key!, 'set')?.members ?? [])])],
  SCARD: [2, (k, [key]) => integer(value(k, key!, 'set')?.members.size ?? 0)],
  SELECT: [2, (_k, [n]) => (n === '0' ? ok : { kind: 'error', text: 'ERR not modelled: databases other than 0' })],
  INFO: [-1, info],
  COMMAND: [-1, () => ({ kind: 'array', items: [] })],
  CLIENT: [-2, () => ok],
  QUIT: [-1, () => ok],
};

const bulkOr = (text: string | undefined): Reply => (text === undefined ? nil : bulk(text));

/** Carries out one command. */
export function perform(k: Keyspace, words: readonly string[]): Reply {
  const [name = '', ...args] = words;
  const found = Object.hasOwn(COMMANDS, name.toUpperCase()) ? COMMANDS[name.toUpperCase()] : undefined;
  k.commands++;
  if (!found) return { kind: 'error', text: `ERR unknown command '${name}', with args beginning with: ${args.map((a) => `'${a}' `).join('')}` };
  const [arity, run] = found;
  if (arity > 0 ? words.length !== arity : words.length < -arity) return { kind: 'error', text: `ERR wrong number of arguments for '${name.toLowerCase()}' command` };
  try {
    return run(k, args);
  } catch (error) {
    if (error instanceof Wrong) return { kind: 'error', text: error.message };
    throw error;
  }
}
