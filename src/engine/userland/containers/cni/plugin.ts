/**
 * What every CNI plugin does: its command, container, namespace and interface come in the environment, its configuration on
 * standard input; a result or an error goes to standard output as JSON. Source: CNI specification 1.0.0, sections 2 to 5;
 * containernetworking/cni pkg/skel.
 */
import { SysError } from '../../../kernel/abi.ts';
import { type Body, type Program, sys } from '../../../kernel/sys.ts';
import { bytes, text } from '../../../sim/text.ts';
import { attempt, drain, exists, reap } from '../../lib/files.ts';
import { type Call, writeAll } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { ENV, spawn } from '../shim/spawn.ts';

export interface NetConf {
  cniVersion: string;
  name: string;
  type: string;
  [key: string]: unknown;
}

export interface CniResult {
  cniVersion: string;
  interfaces?: { name: string; mac?: string; sandbox?: string }[];
  ips?: { interface?: number; address: string; gateway?: string }[];
  routes?: { dst: string; gw?: string }[];
  dns?: object;
}

export interface Invocation {
  command: string;
  containerId: string;
  /** Path of the namespace. */
  netns: string;
  ifname: string;
  /** "K8S_POD_NAME=…;…" */
  args: string;
  conf: NetConf;
}

/** Codes of the specification: 1 version, 2 field, 3 container, 4 environment, 5 I/O, 6 decoding, 7 configuration, 11 again later; 999 anything else. */
export class CniError extends Error {
  readonly code: number;
  readonly details: string;
  constructor(code: number, message: string, details = '') {
    super(message);
    this.code = code;
    this.details = details;
  }
}

const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'], CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'], DEL: ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_PATH'], GC: ['CNI_PATH'], STATUS: ['CNI_PATH'], VERSION: [],
};

/** What is asked for. Throws CniError as skel does. */
function* readInvocation(env: Readonly<Record<string, string>>): Call<Invocation> {
  const command = env.CNI_COMMAND!;
  const needed = NEEDED[command];
  if (!needed) throw new CniError(4, `unknown CNI_COMMAND: ${command}`);
  const missing = needed.filter((name) => !env[name]);
  if (missing.length > 0) throw new CniError(4, `required env variables [${missing.join(',')}] missing`);
  const source = text(yield* drain(0));
  let conf: NetConf;
  try {
    conf = JSON.parse(source) as NetConf;
  } catch {
    throw new CniError(6, `decoding version from network config: ${/^\s*([{[]|$)/.test(source) ? 'unexpected end of JSON input' : `invalid character ${JSON.stringify(source.trim()[0])} looking for beginning of value`}`);
  }
  conf.cniVersion ||= '0.1.0';
  if (!VERSIONS.includes(conf.cniVersion)) throw new CniError(1, 'incompatible CNI versions', `config is "${conf.cniVersion}", plugin supports [${VERSIONS.map((v) => JSON.stringify(v)).join(' ')}]`);
  if (!conf.name) throw new CniError(7, 'missing network name:');
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(conf.name)) throw new CniError(7, 'invalid characters found in network name', conf.name);
  const [containerId, ifname] = [env.CNI_CONTAINERID ?? '', env.CNI_IFNAME ?? ''];
  if (containerId !== '' && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(containerId)) throw new CniError(4, 'invalid characters in containerID', containerId);
  if (ifname.length > 15) throw new CniError(4, 'interface name is too long', 'interface name should be less than 16 characters');
  if (/[/:\s]/.test(ifname) || ifname === '.' || ifname === '..') throw new CniError(4, 'interface name contains / or : or whitespace characters');
  return { command, containerId, netns: env.CNI_NETNS ?? '', ifname, args: env.CNI_ARGS ?? '', conf };
}

/** Makes a program of a plugin; what it returns is printed. */
export function plugin(name: string, run: (i: Invocation) => Call<CniResult | null>): Program {
  return function* (_argv, env): Body {
    if (!env.CNI_COMMAND) {
      yield* complain(`CNI ${name} plugin v1.6.2\nCNI protocol versions supported: ${VERSIONS.join(', ')}\n`);
      return 0;
    }
    let version = '1.0.0';
    try {
      if (env.CNI_COMMAND === 'VERSION') {
        yield* print(`${JSON.stringify({ cniVersion: '1.1.0', supportedVersions: VERSIONS })}\n`);
        return 0;
      }
      const i = yield* readInvocation(env);
      version = i.conf.cniVersion;
      if (i.command === 'CHECK' && !i.conf.prevResult) throw new CniError(999, 'Required prevResult missing');
      const result = yield* run(i);
      if (result) yield* print(`${JSON.stringify({ ...result, cniVersion: version }, null, 4)}\n`);
      return 0;
    } catch (error) {
      if (!(error instanceof CniError) && !(error instanceof SysError)) throw error;
      const code = error instanceof CniError ? error.code : 999;
      const details = error instanceof CniError && error.details !== '' ? { details: error.details } : {};
      yield* print(`${JSON.stringify({ cniVersion: version, code, msg: error instanceof CniError ? error.message : error.message.toLowerCase(), ...details }, null, 4)}\n`);
      return 1;
    }
  };
}

const PATH = '/opt/cni/bin';
const DOING: Readonly<Record<string, string>> = { ADD: 'add', DEL: 'delete', CHECK: 'check' };

/** Runs a plugin; its result. Throws CniError in the plugin's words. `runner` is who runs it as containerd shows it. */
export function* invoke(type: string, i: Invocation, runner: 'runtime' | 'plugin' = 'plugin'): Call<CniResult | null> {
  const path = `${PATH}/${type}`;
  if (!(yield* exists(path))) throw new CniError(0, `failed to find plugin "${type}" in path [${PATH}]`);
  const [childIn, mine] = yield* sys('pipe2', 0o2000000);
  const [from, childOut] = yield* sys('pipe2', 0o2000000);
  const pid = yield* spawn({
    argv: [path], stdio: [childIn, childOut, 2],
    env: { ...ENV, CNI_COMMAND: i.command, CNI_CONTAINERID: i.containerId, CNI_NETNS: i.netns, CNI_IFNAME: i.ifname, CNI_PATH: PATH, CNI_ARGS: i.args },
  });
  yield* sys('close', childIn);
  yield* sys('close', childOut);
  yield* attempt(writeAll(mine, bytes(JSON.stringify(i.conf))), undefined);
  yield* sys('close', mine);
  const said = text(yield* drain(from));
  yield* sys('close', from);
  const status = yield* reap(pid);
  let answer: (CniResult & { code?: number; msg?: string; details?: string }) | null = null;
  try {
    answer = said.trim() === '' ? null : JSON.parse(said);
  } catch {
    throw new CniError(999, `netplugin failed: ${JSON.stringify(said)}`);
  }
  if (status === 0) return answer;
  const words = `${answer?.msg ?? 'netplugin failed with no error message'}${answer?.details ? `: ${answer.details}` : ''}`;
  throw new CniError(answer?.code ?? 999, runner === 'runtime' ? `plugin type="${type}" failed (${DOING[i.command] ?? i.command}): ${words}` : words);
}
