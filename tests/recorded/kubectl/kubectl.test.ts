/** Objects as a recording holds them, in the tables and descriptions of the same recording. */
import { describe, expect, it } from 'vitest';
import type { KubeEvent, KubeObject } from '../../../src/engine/cluster/types/objects.ts';
import { parseTime } from '../../../src/engine/cluster/types/time.ts';
import { describeObject } from '../../../src/engine/userland/kube/kubectl/describe.ts';
import { tableRows } from '../../../src/engine/userland/kube/kubectl/print.ts';
import { getTable } from '../../../src/engine/userland/kube/kubectl/tabwriter.ts';
import { normal, recorded } from './replay.ts';

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
