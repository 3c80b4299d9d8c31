/**
 * What every CNI plugin does: its command, container, namespace and interface come in the environment, its configuration on
 * standard input; a result or an error goes to standard output as JSON. Source: CNI specification 1.0.0, sections 2 to 5.
 */
import { SysError } from '../../../kernel/abi.ts';
import { type Body, type Program, sys } from '../../../kernel/sys.ts';
import { text } from '../../../sim/text.ts';
import { attempt, drain, exists, reap } from '../../lib/files.ts';
import { type Call, writeAll } from '../../lib/http.ts';
import { print } from '../../lib/io.ts';
import { bytes } from '../../../sim/text.ts';
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
  ips?: { address: string; gateway?: string; interface?: number }[];
  routes?: { dst: string; gw?: string }[];
  dns?: object;
}

export interface Invocation {
  command: string;
  containerId: string;
  /** Path of the namespace. */
  netns: string;
  ifname: string;
  conf: NetConf;
}

export class CniError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Makes a program of a plugin; what it returns is printed. */
export function plugin(run: (i: Invocation) => Call<CniResult | null>): Program {
  return function* (_argv, env): Body {
    try {
      const command = env.CNI_COMMAND ?? '';
      if (command === 'VERSION') {
        yield* print(`${JSON.stringify({ cniVersion: '1.0.0', supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0'] })}\n`);
        return 0;
      }
      if (command === '') throw new CniError(4, 'required env variables [CNI_COMMAND] missing');
      const source = text(yield* drain(0));
      let conf: NetConf;
      try {
        conf = JSON.parse(source) as NetConf;
      } catch {
        throw new CniError(6, 'error parsing configuration: unexpected end of JSON input');
      }
      const result = yield* run({ command, containerId: env.CNI_CONTAINERID ?? '', netns: env.CNI_NETNS ?? '', ifname: env.CNI_IFNAME ?? '', conf });
      if (result) yield* print(`${JSON.stringify(result, null, 4)}\n`);
      return 0;
    } catch (error) {
      if (!(error instanceof CniError) && !(error instanceof SysError)) throw error;
      const code = error instanceof CniError ? error.code : 999;
      yield* print(`${JSON.stringify({ cniVersion: '1.0.0', code, msg: error instanceof CniError ? error.message : error.message.toLowerCase() }, null, 4)}\n`);
      return 1;
    }
  };
}

const PATH = '/opt/cni/bin';

/** Runs a plugin; its result. Throws CniError in the plugin's words. */
export function* invoke(type: string, i: Invocation): Call<CniResult | null> {
  const path = `${PATH}/${type}`;
  if (!(yield* exists(path))) throw new CniError(0, `failed to find plugin "${type}" in path [${PATH}]`);
  const [childIn, mine] = yield* sys('pipe2', 0o2000000);
  const [from, childOut] = yield* sys('pipe2', 0o2000000);
  const pid = yield* spawn({
    argv: [path], stdio: [childIn, childOut, 2],
    env: { ...ENV, CNI_COMMAND: i.command, CNI_CONTAINERID: i.containerId, CNI_NETNS: i.netns, CNI_IFNAME: i.ifname, CNI_PATH: PATH, CNI_ARGS: '' },
  });
  yield* sys('close', childIn);
  yield* sys('close', childOut);
  yield* attempt(writeAll(mine, bytes(JSON.stringify(i.conf))), undefined);
  yield* sys('close', mine);
  const said = text(yield* drain(from));
  yield* sys('close', from);
  const status = yield* reap(pid);
  const answer = said.trim() === '' ? null : (JSON.parse(said) as CniResult & { code?: number; msg?: string });
  if (status !== 0) throw new CniError(answer?.code ?? 999, `plugin type="${type}" failed (${i.command === 'ADD' ? 'add' : 'delete'}): ${answer?.msg ?? 'netplugin failed with no error message'}`);
  return answer;
}
