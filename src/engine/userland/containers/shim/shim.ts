/**
 * containerd-shim-runc-v2: one a container, or one a pod. `start` leaves a daemon behind that listens on a socket of its
 * own, is the subreaper of what runc leaves running, holds the standard streams, and reports ends and OOM kills to
 * containerd, whether or not containerd is there. Source: containerd runtime/v2 README, pkg/shim. JSON over HTTP stands for ttrpc.
 */
import { AT_FDCWD } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { MS } from '../../../sim/units.ts';
import { type Options, parseOptions, lastValue as valueIn } from '../../lib/args.ts';
import { attempt, poke } from '../../lib/files.ts';
import { type Call, dial, type Exchange, listen, reply, serveOn, thread } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { Refusal, STATUS } from '../containerd/api.ts';
import { hexOf } from '../oci.ts';
import { hear, makeBell } from './bell.ts';
import { createShim, publisher, type Shim, watchChildren } from './state.ts';
import { spawn } from './spawn.ts';
import { METHODS } from './tasks.ts';

const LISTENING = 3;

const FLAGS = ['address', 'bundle', 'debug', 'id', 'namespace', 'publish-binary', 'socket'];

/** What Go's flag package says before its usage; null: these are flags that there are. */
function refusal(argv: readonly string[]): string | null {
  for (let i = 1; i < argv.length; i++) {
    const m = /^--?([^-=][^=]*)(=.*)?$/.exec(argv[i]!);
    if (!m) return /^-(-?=|--)/.test(argv[i]!) ? `bad flag syntax: ${argv[i]}` : null;
    if (!FLAGS.includes(m[1]!)) return m[1] === 'h' || m[1] === 'help' ? '' : `flag provided but not defined: -${m[1]}`;
    if (m[1] === 'debug') {
      if (m[2] !== undefined && !/^=(1|0|t|f|true|false|T|F|TRUE|FALSE|True|False)$/.test(m[2])) return `invalid boolean value "${m[2].slice(1)}" for -debug: parse error`;
    } else if (m[2] === undefined && argv[++i] === undefined) return `flag needs an argument: -${m[1]}`;
  }
  return null;
}

export function* shim(argv: readonly string[]): Body {
  const wrong = refusal(argv);
  if (wrong !== null) {
    yield* complain(`${wrong === '' ? '' : `${wrong}\n`}Usage of ${argv[0]}:\n${FLAGS.map((flag) => `  -${flag}${flag === 'debug' ? '' : ' string'}\n`).join('')}`);
    return wrong === '' ? 0 : 2;
  }
  const o = parseOptions('debug namespace= id= address= bundle= publish-binary= socket=', argv.slice(1).map((a) => a.replace(/^--?(?=[a-z]{2})/, '--').replace(/^--debug=.*/, '--debug')));
  const namespace = valueIn(o, 'namespace') ?? '';
  const id = valueIn(o, 'id') ?? '';
  if (namespace === '' || id === '') {
    yield* complain('containerd-shim-runc-v2: shim namespace cannot be empty\n');
    return 1;
  }
  if (o.words[0] === 'start') return yield* start(argv[0] ?? 'containerd-shim-runc-v2', o, namespace, id);
  return yield* daemon(namespace, valueIn(o, 'address') ?? '');
}

/** Where the shim of this group listens. */
export function socketOf(namespace: string, id: string, address: string): string {
  return `/run/containerd/s/${hexOf(`${address}/${namespace}/${id}`)}`;
}

function* start(name: string, o: Options, namespace: string, id: string): Call<number> {
  const address = valueIn(o, 'address') ?? '';
  const path = socketOf(namespace, id, address);
  const there = yield* attempt(dial({ family: 'unix', path }), -1);
  if (there >= 0) yield* sys('close', there);
  else {
    yield* attempt(sys('mkdirat', AT_FDCWD, '/run/containerd/s', 0o700), 0);
    const socket = yield* listen({ family: 'unix', path }, 0o600);
    const pid = yield* spawn({
      argv: [name.includes('/') ? name : `/usr/bin/${name}`, '-namespace', namespace, '-id', id, '-address', address], stdio: [-1, -1, -1, socket],
      first: function* () {
        yield* sys('setsid');
      },
    });
    yield* attempt(poke(`/proc/${pid}/oom_score_adj`, '-998'), undefined);
  }
  yield* print(`unix://${path}`);
  return 0;
}

function* daemon(namespace: string, address: string): Call<number> {
  yield* sys('prctl', 'PR_SET_CHILD_SUBREAPER', 1);
  const state = yield* createShim(namespace, address);
  yield* watchChildren(state);
  yield* thread(() => publisher(state));
  return yield* serveOn(LISTENING, (exchange) => answer(state, exchange));
}

function* answer(state: Shim, exchange: Exchange): Call<void> {
  const name = exchange.path.replace(/^\/containerd\.task\.v3\.Task\//, '');
  if (name === 'Shutdown') return yield* shutdown(state, exchange);
  if (name === 'Connect') return yield* hear(yield* makeBell());
  const method = METHODS[name];
  if (!method) return yield* reply(exchange, 501, { code: 'UNIMPLEMENTED', message: `method ${name} not implemented` });
  try {
    yield* reply(exchange, 200, yield* method(state, JSON.parse(exchange.body === '' ? '{}' : exchange.body) as never));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    yield* reply(exchange, STATUS[error.code] ?? 500, { code: error.code, message: error.message });
  }
}

/** Ends when it holds nothing and everything has been told; nobody finds it any more once it has answered. */
function* shutdown(state: Shim, exchange: Exchange): Call<void> {
  const ends = state.containers.size === 0;
  const at = ends ? yield* attempt(sys('getsockname', LISTENING), null) : null;
  if (at?.family === 'unix') yield* attempt(sys('unlinkat', AT_FDCWD, at.path, 0), 0);
  yield* reply(exchange, 200, {});
  if (!ends) return;
  for (let tries = 0; tries < 100 && state.outbox.length > 0; tries++) yield* sys('nanosleep', 10 * MS);
  yield* sys('exit_group', 0);
}
