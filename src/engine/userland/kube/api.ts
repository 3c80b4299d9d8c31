/** How node components talk to the API server: plain HTTP, JSON both ways; a failed connection is null, never an exception. */
import { parse as parseYaml } from 'yaml';
import type { Json } from '../../cluster/types/objects.ts';
import { AT_FDCWD, O_RDONLY, SysError } from '../../kernel/abi.ts';
import { sys, type SockAddr } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { type Call, request } from '../lib/http.ts';

const TYPES = { merge: 'application/merge-patch+json', strategic: 'application/strategic-merge-patch+json' } as const;

export interface Answer {
  status: number;
  body: Json;
}

export function* api(server: SockAddr, method: string, path: string, body?: Json, patch?: keyof typeof TYPES): Call<Answer | null> {
  try {
    const r = yield* request(server, {
      method, path, headers: { 'User-Agent': 'kubelet/v1.32.4', ...(body === undefined ? {} : { 'Content-Type': patch ? TYPES[patch] : 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: r.status, body: parseJson(r.body) };
  } catch (error) {
    if (error instanceof SysError) return null;
    throw error;
  }
}

export function parseJson(source: string): Json {
  try {
    return JSON.parse(source);
  } catch {
    return source;
  }
}

/** A file's text, or null when it cannot be read. */
export function* slurp(path: string): Call<string | null> {
  try {
    const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY);
    let all = '';
    for (;;) {
      const piece = yield* sys('read', fd, 65536);
      if (piece.length === 0) break;
      all += text(piece);
    }
    yield* sys('close', fd);
    return all;
  } catch (error) {
    if (error instanceof SysError) return null;
    throw error;
  }
}

/** Makes a directory and those above it; one that exists is fine. Says whether it is there. */
export function* makeDirs(path: string): Call<boolean> {
  let at = '';
  let good = true;
  for (const part of path.split('/').filter((p) => p !== '')) {
    at += `/${part}`;
    try {
      yield* sys('mkdirat', AT_FDCWD, at, 0o755);
      good = true;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      good = error.errno === 'EEXIST';
    }
  }
  return good;
}

/** Writes a file whole; a failure is false. `flags` beyond O_WRONLY. */
export function* spill(path: string, data: string, flags: number): Call<boolean> {
  try {
    const fd = yield* sys('openat', AT_FDCWD, path, 1 | flags, 0o644);
    yield* sys('write', fd, bytes(data));
    yield* sys('close', fd);
    return true;
  } catch (error) {
    if (error instanceof SysError) return false;
    throw error;
  }
}

/** The server of a kubeconfig file's first cluster. */
export function* serverOf(path: string): Call<SockAddr | null> {
  const source = yield* slurp(path);
  let config: Json = null;
  try {
    config = parseYaml(source ?? '');
  } catch {
    return null;
  }
  const m = /^https?:\/\/([^:/]+):(\d+)/.exec(String(config?.clusters?.[0]?.cluster?.server ?? ''));
  return m ? { family: 'inet', address: m[1]!, port: Number(m[2]) } : null;
}
