/**
 * kubectl against its recordings (1.32 and 1.20 clients, a 1.20 server with hollow nodes), replayed in order. A line counts
 * when stdout, stderr and exit status are the recording's after normalising; `least` may only grow.
 * What does not match yet: kinds that do not exist here (DaemonSet, StatefulSet, PVC, Ingress, HPA, Job), wording that changed
 * between 1.20 and 1.32, what the recording's driver did between the lines, commands said to be not modelled.
 */
import { describe, expect, it } from 'vitest';
import type { KubeEvent, KubeObject } from '../../../src/engine/cluster/types/objects.ts';
import { parseTime } from '../../../src/engine/cluster/types/time.ts';
import { describeObject } from '../../../src/engine/userland/kube/kubectl/describe.ts';
import { tableRows } from '../../../src/engine/userland/kube/kubectl/print.ts';
import { getTable } from '../../../src/engine/userland/kube/kubectl/tabwriter.ts';
import { type Bench, pass, run } from './door.ts';
import { normal, recorded, replay } from './replay.ts';

function began132(b: Bench): void {
  run(b, ['kubectl', 'label', 'node', 'worker-1', 'node-role.kubernetes.io/worker=']);
  run(b, ['kubectl', 'apply', '-f', 'pend.yaml']);
  pass(b, 5);
}

const files: [string, number, ((b: Bench) => void) | undefined, boolean][] = [
  ['kubectl-1.32-live.jsonl', 25, began132, true],
  ['kubectl-1.32-offline.jsonl', 45, undefined, false],
  ['kubectl-1.20-live.jsonl', 72, undefined, true],
];

describe('kubectl as recorded', () => {
  it.each(files)('%s: at least %d lines exact', (file, least, before, serving) => {
    const outcomes = replay(file, before, serving);
    const exact = outcomes.filter((o) => o.exact);
    console.log(`${file}: ${exact.length} of ${outcomes.length} exact`);
    expect(exact.length).toBeGreaterThanOrEqual(least);
  });
});

describe('formatting of recorded objects', () => {
  const lines = recorded('kubectl-1.20-live.jsonl');
  const line = (cmd: string): (typeof lines)[number] => lines.find((l) => l.cmd === cmd)!;
  const pods = JSON.parse(line('kubectl get pods -l demo=st -o json').stdout).items as KubeObject[];
  const now = parseTime(pods[0]!.metadata.creationTimestamp)! + 1;
  const options = { wide: false, headers: true, prefix: false, namespaces: false, showLabels: false, labelColumns: [], now };

  it.each([[false, 'kubectl get pods -l demo=st'], [true, 'kubectl get pods -l demo=st -o wide']] as const)('table of 22 pod states, wide: %s', (wide, cmd) => {
    expect(normal(getTable(tableRows('Pod', pods, { ...options, wide })))).toBe(normal(line(cmd).stdout));
  });

  it.each(['st-crash', 'st-oom', 'st-oom2', 'st-pull', 'st-half', 'st-evicted', 'st-init1', 'st-done'])('describe pod %s', (name) => {
    const pod = pods.find((p) => p.metadata.name === name)!;
    const mine = describeObject(pod, { now, events: [] as KubeEvent[] });
    const later = (text: string): string => normal(text.replace(/^Service Account:.*\n/m, ''));
    expect(later(mine)).toBe(normal(line(`kubectl describe pod ${name}`).stdout));
  });
});
