/** Instructions that only change an image's configuration, and how its history tells of each. Source: buildkit dockerfile2llb/convert.go, instructions; moby builder/dockerfile/dispatchers.go for the classic words. */
import { goDuration } from '../../../lib/duration.ts';
import { durationNs } from '../cli/values.ts';
import { type Built, environment, shellOf } from './buildstate.ts';
import { BadDockerfile, flagOf, type Instruction, jsonList, pairs, splitWords } from './dockerfile.ts';
import { BadWord, expand } from './expand.ts';
import { signalNumber } from './signals.ts';
import type { Any } from './state.ts';

export interface Scope {
  buildArgs: Readonly<Record<string, string>>;
  /** ARG before the first FROM, and what the platform gives. */
  globals: ReadonlyMap<string, string>;
  classic: boolean;
  escape: string;
}

const list = (items: readonly string[]): string => `[${items.map((i) => JSON.stringify(i)).join(' ')}]`;
/** How history tells a step: the classic builder puts it behind the shell of the image so far. */
export const nop = (classic: boolean, built: Built, plain: string, shown: string): string => (classic ? `${shellOf(built).join(' ')} #(nop) ${plain}` : shown);

/** A health check as Go's %q prints the record. */
function quotedHealth(h: Any): string {
  const times = [h.Interval, h.Timeout, h.StartPeriod, h.StartInterval].map((ns) => JSON.stringify(goDuration(ns ?? 0)));
  const retries: number = h.Retries ?? 0;
  const rune = retries < 32 || retries === 127 ? (ESCAPES[retries] ?? `\\x${retries.toString(16).padStart(2, '0')}`) : String.fromCodePoint(Math.min(retries, 0x10ffff)).replace(/['\\]/, '\\$&');
  return `&{${list(h.Test)} ${times.join(' ')} '${rune}'}`;
}

const ESCAPES: Readonly<Record<number, string>> = { 7: '\\a', 8: '\\b', 9: '\\t', 10: '\\n', 11: '\\v', 12: '\\f', 13: '\\r' };

export function commandOf(rest: string, built: Built): string[] {
  return jsonList(rest) ?? [...shellOf(built), rest];
}

/** A word filled in; its fault becomes the Dockerfile's. */
export function filled(source: string, built: Built, one: Instruction, mark: string): string {
  try {
    return expand(source, environment(built), mark);
  } catch (error) {
    if (error instanceof BadWord) throw new BadDockerfile(error.message, one.from);
    throw error;
  }
}

type Configure = (built: Built, one: Instruction, scope: Scope, word: (source: string) => string) => string | { plain: string; shown: string };

const CONFIGURE: Readonly<Record<string, Configure>> = {
  ARG(built, one, scope, word) {
    const shown = splitWords(one.rest).map((w) => {
      const cut = w.indexOf('=');
      const name = cut < 0 ? w : w.slice(0, cut);
      const chosen = scope.buildArgs[name] ?? (cut < 0 ? scope.globals.get(name) : word(w.slice(cut + 1)));
      if (chosen !== undefined || (!scope.classic && !built.args.has(name))) built.args.set(name, chosen);
      return scope.classic ? w : chosen === undefined ? name : `${name}=${chosen}`;
    });
    return `ARG ${shown.join(' ')}`;
  },
  CMD(built, one) {
    const command = one.rest === '' ? [] : commandOf(one.rest, built);
    built.config.Cmd = command;
    built.cmdGiven = true;
    return `CMD ${list(command)}`;
  },
  ENTRYPOINT(built, one) {
    const command = one.rest === '' ? [] : commandOf(one.rest, built);
    built.config.Entrypoint = command;
    if (!built.cmdGiven) built.config.Cmd = null;
    return `ENTRYPOINT ${list(command)}`;
  },
  SHELL(built, one) {
    built.config.Shell = jsonList(one.rest)!;
    return `SHELL [${shellOf(built).join(' ')}]`;
  },
  HEALTHCHECK(built, one) {
    const kind = /^(\S+)\s*([\s\S]*)$/.exec(one.rest)!;
    if (kind[1]!.toUpperCase() === 'NONE') built.config.Healthcheck = { Test: ['NONE'] };
    else {
      const exec = jsonList(kind[2]!);
      const time = (flag: string, key: string): object => (flagOf(one, flag) === undefined ? {} : { [key]: durationNs(flagOf(one, flag)!) });
      built.config.Healthcheck = {
        Test: exec ? ['CMD', ...exec] : ['CMD-SHELL', kind[2]!], ...time('interval', 'Interval'), ...time('timeout', 'Timeout'), ...time('start-period', 'StartPeriod'), ...time('start-interval', 'StartInterval'),
        ...(flagOf(one, 'retries') === undefined ? {} : { Retries: Number(flagOf(one, 'retries')) }),
      };
    }
    return `HEALTHCHECK ${quotedHealth(built.config.Healthcheck)}`;
  },
  EXPOSE(built, one, _scope, word) {
    const ports = splitWords(one.rest).map(word).join(' ').split(/\s+/).filter((p) => p !== '').flatMap((p) => portsOf(p, one));
    built.config.ExposedPorts = { ...(built.config.ExposedPorts ?? {}), ...Object.fromEntries(ports.map((p) => [p, {}])) };
    return { shown: `EXPOSE map[${ports.slice().sort().map((p) => `${p}:{}`).join(' ')}]`, plain: ` EXPOSE ${ports.join(' ')}` };
  },
  VOLUME(built, one, _scope, word) {
    const paths = (jsonList(one.rest) ?? splitWords(one.rest)).map(word);
    if (paths.some((p) => p.trim() === '')) throw new BadDockerfile(`dockerfile parse error on line ${one.from}: VOLUME specified can not be an empty string`, one.from);
    built.config.Volumes = { ...(built.config.Volumes ?? {}), ...Object.fromEntries(paths.map((p) => [p, {}])) };
    return `VOLUME [${paths.join(' ')}]`;
  },
  ENV(built, one, _scope, word) {
    const set = pairs(one).map(([k, v]): [string, string] => [word(k), word(v)]);
    const env: string[] = [...(built.config.Env ?? [])];
    for (const [k, v] of set) {
      const at = env.findIndex((e) => e.startsWith(`${k}=`));
      if (at < 0) env.push(`${k}=${v}`);
      else env[at] = `${k}=${v}`;
    }
    built.config.Env = env;
    return `ENV ${set.map(([k, v]) => `${k}=${v}`).join(' ')}`;
  },
  LABEL(built, one, _scope, word) {
    const set = pairs(one).map(([k, v]): [string, string] => [word(k), word(v)]);
    built.config.Labels = { ...(built.config.Labels ?? {}), ...Object.fromEntries(set) };
    return `LABEL ${set.map(([k, v]) => `${k}=${v}`).join(' ')}`;
  },
  MAINTAINER(built, one) {
    built.author = one.rest;
    return `MAINTAINER ${one.rest}`;
  },
  USER(built, one, _scope, word) {
    built.config.User = word(one.rest);
    return `USER ${built.config.User}`;
  },
  STOPSIGNAL(built, one, _scope, word) {
    const signal = word(one.rest);
    if (signalNumber(signal) === null) throw new BadDockerfile(`invalid signal: ${signal}`, one.from);
    built.config.StopSignal = signal;
    return `STOPSIGNAL ${built.config.StopSignal}`;
  },
  ONBUILD(built, one) {
    built.config.OnBuild = [...(built.config.OnBuild ?? []), `${one.rest}${one.raw}`];
    return `ONBUILD ${one.rest}`;
  },
};

/** "80", "8000-8003/udp", with what is published before it as `docker run -p` has it. Source: go-connections nat. Throws BadDockerfile. */
function portsOf(text: string, one: Instruction): string[] {
  const [ports = '', proto = 'tcp'] = text.split('/');
  const port = ports.split(':').at(-1)!;
  if (port === '') throw new BadDockerfile(`No port specified: ${text}<empty>`, one.from);
  const m = /^(\d+)(?:-(\d+))?$/.exec(port);
  const from = Number(m?.[1]);
  const to = Number(m?.[2] ?? m?.[1]);
  if (!m || from > 65535 || to > 65535 || to < from) throw new BadDockerfile(`Invalid containerPort: ${port}`, one.from);
  if (!/^(?:tcp|udp|sctp)$/i.test(proto)) throw new BadDockerfile(`Invalid proto: ${proto}`, one.from);
  return Array.from({ length: to - from + 1 }, (_, i) => `${from + i}/${proto.toLowerCase()}`);
}

/** Changes the configuration; how history tells it. Throws BadDockerfile. */
export function configure(scope: Scope, built: Built, one: Instruction): string {
  const told = CONFIGURE[one.word]!(built, one, scope, (source) => filled(source, built, one, scope.escape));
  if (!scope.classic && /^(CMD|ENTRYPOINT)$/.test(one.word)) built.config.ArgsEscaped = true;
  const { shown, plain } = typeof told === 'string' ? { shown: told, plain: ` ${told}` } : told;
  return nop(scope.classic, built, plain, shown);
}

/** WORKDIR: the new directory's path without its leading slash. */
export function workdir(scope: Scope, built: Built, one: Instruction): string {
  const path = filled(one.rest, built, one, scope.escape);
  const parts: string[] = [];
  for (const part of (path.startsWith('/') ? path : `${built.config.WorkingDir || ''}/${path}`).split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  built.config.WorkingDir = `/${parts.join('/')}`;
  return parts.join('/');
}
