/** Instructions of a Dockerfile on an image's configuration, as --change of commit and import takes them. Source: moby builder/dockerfile. */
import type { ImageConfig } from '../../oci.ts';
import { type Any, Refused } from './state.ts';

type Config = ImageConfig['config'];

/** '["a", "b"]' as it stands, anything else by the shell. */
export function commandOf(rest: string): string[] {
  if (rest.startsWith('[')) {
    try {
      const list: unknown = JSON.parse(rest);
      if (Array.isArray(list) && list.every((s) => typeof s === 'string')) return list;
    } catch {
      return ['/bin/sh', '-c', rest];
    }
  }
  return ['/bin/sh', '-c', rest];
}

/** "A=1 B='x y'" or "A rest of the line". */
export function assignments(rest: string): [string, string][] {
  const plain = /^([\w.-]+)\s+(?!.*^[^=]*=)(.*)$/.exec(rest);
  if (plain && !/^[\w.-]+=/.test(rest)) return [[plain[1]!, plain[2]!]];
  return [...rest.matchAll(/([\w.-]+)=("(?:[^"\\]|\\.)*"|'[^']*'|\S*)/g)].map((m) => [
    m[1]!,
    m[2]!.replace(/^"(.*)"$|^'(.*)'$/s, (_, a, b) => (a ?? b) as string).replace(/\\(.)/g, '$1'),
  ]);
}

const APPLY: Readonly<Record<string, (c: Any, rest: string) => void>> = {
  CMD: (c, rest) => {
    c.Cmd = commandOf(rest);
  },
  ENTRYPOINT: (c, rest) => {
    c.Entrypoint = commandOf(rest);
  },
  ENV: (c, rest) => {
    for (const [name, value] of assignments(rest)) {
      const env: string[] = c.Env ?? [];
      const at = env.findIndex((e) => e.startsWith(`${name}=`));
      c.Env = at < 0 ? [...env, `${name}=${value}`] : env.with(at, `${name}=${value}`);
    }
  },
  LABEL: (c, rest) => {
    c.Labels = { ...(c.Labels ?? {}), ...Object.fromEntries(assignments(rest)) };
  },
  EXPOSE: (c, rest) => {
    for (const port of rest.split(/\s+/)) c.ExposedPorts = { ...(c.ExposedPorts ?? {}), [port.includes('/') ? port : `${port}/tcp`]: {} };
  },
  VOLUME: (c, rest) => {
    const list = rest.startsWith('[') ? commandOf(rest) : rest.split(/\s+/);
    for (const path of list) c.Volumes = { ...(c.Volumes ?? {}), [path]: {} };
  },
  USER: (c, rest) => {
    c.User = rest;
  },
  WORKDIR: (c, rest) => {
    c.WorkingDir = rest.startsWith('/') ? rest : `${c.WorkingDir || ''}/${rest}`;
  },
  STOPSIGNAL: (c, rest) => {
    c.StopSignal = rest;
  },
  ONBUILD: (c, rest) => {
    c.OnBuild = [...(c.OnBuild ?? []), rest];
  },
};

/** Throws Refused for an instruction that cannot be one. */
export function applyChanges(config: Config, changes: string): Config {
  const out: Any = { ...config };
  for (const line of changes.split('\n').filter((l) => l.trim() !== '')) {
    const [word = '', ...rest] = line.trim().split(/\s+/);
    const apply = APPLY[word.toUpperCase()];
    if (!apply) throw new Refused(400, `${word.toUpperCase()} is not a valid change command`);
    apply(out, line.trim().slice(word.length).trim() || rest.join(' '));
  }
  return out;
}
