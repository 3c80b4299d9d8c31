/**
 * Trace records in words: for each kind, a sentence, a figure, the scene that shows it and whether it earns a mark.
 * The one place where a record's kind meets English; marks and why-chains read it.
 */
import type { TraceRecord } from '../sim/trace.ts';
import { namespaces } from './runphrase.ts';

export interface Sentence {
  text: string;
  detail: string;
  figure: string;
  scene: '' | 'walk' | 'containers' | 'cluster';
  outcome: '' | 'ok' | 'warn' | 'killed';
  mark: boolean;
  /** What to select in that scene. */
  select: string;
}

type Data = TraceRecord['data'];
type Row = [mark: boolean, scene: Sentence['scene'], outcome: Sentence['outcome'], text: (d: Data) => string, figure?: (d: Data) => string, select?: (d: Data) => string];

const kib = (value: unknown): string => `${Math.round(Number(value) / 1024).toLocaleString('en-US')} KiB`;
const pages = (value: unknown): string => `${Number(value).toLocaleString('en-US')} pages`;

/** Records name a pod in one piece or in two. */
const podOf = (d: TraceRecord['data']): string => String(d.pod ?? `${d.namespace}/${d.name}`);

const SENTENCES: Record<string, Row> = {
  'input.type': [false, '', '', (d) => `typed at ${d.tty}: ${JSON.stringify(d.data)}`],
  'input.file': [true, '', '', (d) => `file ${d.name} put under /root/uploads`, (d) => kib(d.size)],
  'input.debug': [true, 'walk', '', (d) => `debugger on ${d.vm}: ${d.cmd}`, undefined, (d) => String(d.vm)],
  'input.answer': [false, '', '', (d) => `answered ${d.lab}, ${d.step}`],
  'input.hint': [false, '', '', (d) => `asked for hint ${d.index} of ${d.step}`],
  'task.exec': [true, 'containers', '', (d) => `${d.args ?? d.path ?? 'a program'} started`, (d) => `pid ${d.pid}`, (d) => String(d.pid)],
  'task.exit': [true, 'containers', '', (d) => `${d.comm ?? 'a process'} ended`, (d) => (d.signal ? `signal ${d.signal}` : `status ${d.code ?? d.status ?? 0}`), (d) => String(d.pid)],
  'signal.kill': [true, 'containers', 'killed', (d) => `SIGKILL to pid ${d.pid}`],
  'ns.unshare': [true, 'containers', '', (d) => `new namespaces: ${d.types ?? namespaces(Number(d.flags))}`],
  'ns.clone': [true, 'containers', '', (d) => `child in new namespaces: ${d.types ?? namespaces(Number(d.flags))}`],
  'cgroup.make': [true, 'containers', '', (d) => `cgroup ${d.cgroup ?? d.path} made`, undefined, (d) => String(d.cgroup ?? d.path)],
  'cgroup.write': [false, 'containers', '', (d) => `${d.value} written to ${d.file} of ${d.cgroup ?? d.path}`, undefined, (d) => String(d.cgroup ?? d.path)],
  'cgroup.attach': [false, 'containers', '', (d) => `pid ${d.pid} moved into ${d.cgroup ?? d.path}`],
  'cpu.throttled': [true, 'containers', 'warn', (d) => `${d.cgroup} was throttled: its quota was used up`, (d) => `${d.quota} of ${d.period} µs`, (d) => String(d.cgroup)],
  'call.refused': [true, 'containers', 'warn', (d) => `${d.name} of ${d.comm} was refused: ${d.errno}`, (d) => String(d.why), (d) => String(d.pid)],
  'program.fault': [true, 'containers', 'killed', (d) => `${d.comm} (pid ${d.pid}) was ended by a fault of its model`, (d) => String(d.error), (d) => String(d.pid)],
  'memory.refused': [true, 'containers', 'warn', (d) => `a charge was refused at memory.max of ${d.cgroup}`, (d) => kib(d.current), (d) => String(d.cgroup)],
  'memory.reclaim': [false, 'containers', '', (d) => `reclaim in ${d.cgroup} freed ${pages(d.reclaimed ?? d.freed ?? 0)}`, undefined, (d) => String(d.cgroup)],
  'memory.fault': [false, 'containers', '', (d) => `pid ${d.pid} touched memory it did not have yet`],
  'oom.invoked': [true, 'containers', 'warn', (d) => `the OOM killer ran for ${d.cgroup ?? 'the machine'}`, (d) => (d.usage === undefined ? '' : kib(d.usage)), (d) => String(d.cgroup ?? '')],
  'oom.kill': [true, 'containers', 'killed', (d) => `the OOM killer chose ${d.comm} (pid ${d.pid})`, (d) => (d.points === undefined ? '' : `${pages(d.points)} of badness`), (d) => String(d.pid)],
  'overlay.copyup': [true, 'containers', '', (d) => `${d.path} copied up`, (d) => (d.size === undefined ? '' : kib(d.size)), (d) => String(d.path)],
  'overlay.whiteout': [true, 'containers', '', (d) => `whiteout over ${d.path}`, undefined, (d) => String(d.path)],
  'overlay.opaque': [true, 'containers', '', (d) => `${d.path} made opaque: nothing below shows through`, undefined, (d) => String(d.path)],
  mount: [false, 'containers', '', (d) => `${d.type} mounted on ${d.target}`],
  pivot_root: [true, 'containers', '', () => 'pivot_root: a new root directory'],
  'vm.create': [true, 'walk', 'ok', (d) => `VM ${d.vm ?? ''} created`],
  'vm.exit': [true, 'walk', '', (d) => `VM exit: ${d.name ?? d.reason}`, (d) => (d.qualification ? `qualification ${d.qualification}` : '')],
  'vm.shutdown': [true, 'walk', '', (d) => `VM ${d.vm ?? ''} stopped`],
  'vm.entry': [true, 'walk', 'warn', (d) => `VM entry failed: ${d.rule ?? d.reason ?? ''}`],
  'pod.created': [true, 'cluster', '', (d) => `pod ${podOf(d)} created`, undefined, (d) => podOf(d)],
  'sched.decision': [false, 'cluster', '', (d) => `scheduler decided for ${d.pod}: ${d.node || d.message}`, undefined, (d) => String(d.pod)],
  'sched.bind': [true, 'cluster', 'ok', (d) => `pod ${d.pod} bound to ${d.node}`, undefined, (d) => String(d.pod)],
  'sched.failed': [true, 'cluster', 'warn', (d) => `pod ${d.pod} fits nowhere`, undefined, (d) => String(d.pod)],
  'kubelet.start': [false, 'cluster', '', (d) => `kubelet starts ${podOf(d)}`, undefined, (d) => podOf(d)],
  'pod.running': [true, 'cluster', 'ok', (d) => `pod ${podOf(d)} runs`, undefined, (d) => podOf(d)],
  'pod.deleted': [true, 'cluster', '', (d) => `pod ${podOf(d)} deleted`, undefined, (d) => podOf(d)],
  'pod.oomkilled': [true, 'cluster', 'killed', (d) => `a container of ${d.pod} was OOM-killed`, undefined, (d) => String(d.pod)],
  'deployment.scaled': [true, 'cluster', '', (d) => `${d.name} scaled to ${d.replicas}`],
};

export function sentenceOf(entry: TraceRecord): Sentence | null {
  const row = SENTENCES[entry.kind];
  if (!row) return null;
  const [mark, scene, outcome, text, figure, select] = row;
  const detail = Object.entries(entry.data)
    .filter(([, value]) => value !== null && value !== '')
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
  return { text: text(entry.data), detail, figure: figure?.(entry.data) ?? '', scene, outcome, mark, select: select?.(entry.data) ?? '' };
}
