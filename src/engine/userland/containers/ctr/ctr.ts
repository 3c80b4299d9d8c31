/** ctr: containerd's own client, as far as looking goes: version, namespaces, images, containers, tasks and their metrics, kill. */
import { SIG } from '../../../kernel/abi.ts';
import { type Body } from '../../../kernel/sys.ts';
import { BadOption, type Options, parseOptions, lastValue as valueIn } from '../../lib/args.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { decimalSize } from '../../lib/clock.ts';
import { tabulate } from '../../kube/kubectl/tabwriter.ts';
import { call, Refusal, tasks, type TaskState } from '../containerd/api.ts';

type Run = (namespace: string, o: Options) => Call<void>;

const ALIASES: Readonly<Record<string, string>> = { c: 'containers', container: 'containers', t: 'tasks', task: 'tasks', i: 'images', image: 'images', ns: 'namespaces', namespace: 'namespaces', v: 'version' };

const RUN: Readonly<Record<string, Run>> = {
  version, 'containers ls': containers, 'tasks ls': taskList, 'tasks kill': kill, 'tasks metrics': metrics, 'tasks ps': processes, 'images ls': images, 'namespaces ls': namespaces,
};

export function* ctr(argv: readonly string[]): Body {
  try {
    const o = parseOptions('a/address= n/namespace= debug h/help v/version', argv.slice(1), 'in-order');
    const [first = '', second = '', ...rest] = o.words;
    const noun = ALIASES[first] ?? first;
    const verb = second === 'list' ? 'ls' : second;
    const run = RUN[noun] ?? RUN[`${noun} ${verb}`];
    if (!run) {
      yield* print(`NAME:\n   ctr - \n\nUSAGE:\n   ctr [global options] command [command options] [arguments...]\n\nCOMMANDS:\n${Object.keys(RUN).sort().map((n) => `   ${n}\n`).join('')}`);
      if (first === '' || o.on.has('help')) return 0;
      yield* complain(`ctr: not modelled: ${[first, second].filter((w) => w !== '').join(' ')}\n`);
      return 1;
    }
    yield* run(valueIn(o, 'namespace') ?? 'default', parseOptions('q/quiet s/signal= a/all format=', rest, 'permute'));
    return 0;
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof BadOption)) throw error;
    yield* complain(`ctr: ${error.message}\n`);
    return 1;
  }
}

const rows = (lines: readonly string[][]): string => tabulate(lines.map((l) => l.join('\t')).join('\n'), 4, 4).split('\n').map((l) => `${l}\n`).join('');

function* version(): Call<void> {
  const v = (yield* call('containerd.services.version.v1.Version/Version', {}, 'default')) as { version: string; revision: string; uuid: string };
  yield* print(`Client:\n  Version:  ${v.version}\n  Revision: ${v.revision}\n  Go version: go1.24.4\n\nServer:\n  Version:  ${v.version}\n  Revision: ${v.revision}\n  UUID: ${v.uuid}\n`);
}

function* list(namespace: string): Call<TaskState[]> {
  return (yield* tasks(namespace, 'List', {})).tasks;
}

function* containers(namespace: string, o: Options): Call<void> {
  const all = yield* list(namespace);
  if (o.on.has('quiet')) return yield* print(all.map((t) => `${t.containerId}\n`).join(''));
  yield* print(rows([['CONTAINER', 'IMAGE', 'RUNTIME', ''], ...all.map((t) => [t.containerId, '-', 'io.containerd.runc.v2', ''])]));
}

function* taskList(namespace: string, o: Options): Call<void> {
  const all = yield* list(namespace);
  if (o.on.has('quiet')) return yield* print(all.map((t) => `${t.containerId}\n`).join(''));
  yield* print(rows([['TASK', 'PID', 'STATUS', ''], ...all.map((t) => [t.containerId, String(t.pid), t.status, ''])]));
}

function* kill(namespace: string, o: Options): Call<void> {
  const word = (valueIn(o, 'signal') ?? 'TERM').toUpperCase().replace(/^SIG/, '');
  const signal = /^\d+$/.test(word) ? Number(word) : (SIG as Record<string, number>)[word];
  if (signal === undefined) throw new BadOption(`unknown signal ${JSON.stringify(word)}`);
  yield* tasks(namespace, 'Kill', { containerId: o.words[0] ?? '', signal, all: o.on.has('all') });
}

function* metrics(namespace: string, o: Options): Call<void> {
  const { metrics: m } = yield* tasks(namespace, 'Metrics', { containerId: o.words[0] ?? '' });
  const fields: [string, number | string][] = [
    ['pids.current', m.pids.current], ['pids.limit', m.pids.limit ?? 0], ['cpu.usage_usec', Math.floor(m.cpu.usage / 1000)], ['cpu.user_usec', Math.floor(m.cpu.user / 1000)],
    ['cpu.system_usec', Math.floor(m.cpu.system / 1000)], ['memory.usage', m.memory.usage], ['memory.usage_limit', m.memory.limit ?? '18446744073709551615'],
  ];
  yield* print(rows([['METRIC', 'VALUE', ''], ...fields.map(([k, v]) => [k, String(v), ''])]));
}

function* processes(namespace: string, o: Options): Call<void> {
  const { processes: all } = yield* tasks(namespace, 'ListPids', { containerId: o.words[0] ?? '' });
  yield* print(rows([['PID', 'INFO'], ...all.map((p) => [String(p.pid), '-'])]));
}

function* images(_namespace: string, o: Options): Call<void> {
  const all = ((yield* call('containerd.services.images.v1.Images/List', {}, 'default')) as { images: { name: string; digest: string; size?: number }[] }).images;
  if (o.on.has('quiet')) return yield* print(all.map((i) => `${i.name}\n`).join(''));
  yield* print(rows([['REF', 'TYPE', 'DIGEST', 'SIZE', 'PLATFORMS', 'LABELS'], ...all.map((i) => [i.name, 'application/vnd.oci.image.manifest.v1+json', i.digest, decimalSize(i.size ?? 0), 'linux/amd64', '-'])]));
}

function* namespaces(): Call<void> {
  const all = ((yield* call('containerd.services.namespaces.v1.Namespaces/List', {}, 'default')) as { namespaces: { name: string }[] }).namespaces;
  yield* print(rows([['NAME', 'LABELS', ''], ...all.map((n) => [n.name, '', ''])]));
}
