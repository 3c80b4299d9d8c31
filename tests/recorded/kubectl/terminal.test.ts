/**
 * The same recordings in order through the terminal of the lab: the scenario of their name, its shell, its kubectl behind the
 * real door. Every line that differs is listed with its reason: what another version of kubectl or of the server says (the lab's
 * is 1.32), or what the recording machine was. One that differs no more must go from the list.
 */
import { describe, expect, it } from 'vitest';
import { readTranscript, replayTranscript, report, unexplained } from '../transcripts.ts';
import { between, pauseAfter } from './between.ts';
import { normal } from './replay.ts';

const CLIENT = 'version: kubectl 1.20 words or prints it otherwise';
const SERVER = 'version: a 1.20 server serves other kinds, decodes, mounts or reports otherwise';
const OLD = 'version: kubectl 1.32 falls back to OpenAPI v2 against a server that has no v3 (or none at all)';
const MACHINE = 'machine: what went before, which node got which pod, or the names that its resolver knew';

const MISSES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  'kubectl-1.32-offline': [['kubectl version --client -o yaml\n', 'version: another build of 1.32'], ['kubectl apply -f app.yaml --dry-run=client\n', OLD], ['kubectl apply -f app.yaml --dry-run=client --validate=false\n', OLD]],
  'kubectl-1.32-live': [
    ['kubectl get all\n', SERVER], ['kubectl describe node worker-1\n', MACHINE], ['kubectl describe pod -l app=api\n', SERVER], ['kubectl describe ds ds\n', MACHINE], ['kubectl describe ing ing\n', SERVER], ['kubectl get events\n', MACHINE],
    ['kubectl get pods -A\n', MACHINE], ['kubectl get deploy web -o yaml\n', MACHINE], ['containerz: []', OLD],
    ['kubectl get pod -o custom-columns=N:.metadata.name,P:.status.phase\n', MACHINE], ['kubectl run tmp --image=busybox --rm', MACHINE],
  ],
  'kubectl-1.20-live': [
    ...['version --short', 'version -o yaml', 'explain pod\n', 'explain pod.spec.containers.resources', 'explain deployment.spec.strategy', 'describe node worker-1', 'get node worker-1 -o yaml', 'label node worker-1 disk=ssd', 'get deploy web -o yaml', 'get deploy web -o json',
      'describe deploy web', 'describe rs -l app=web', 'kubectl run x\n', 'logs nosuch', 'exec solo ls', 'logs web -c x', 'logs two', 'kubectl diff -f app.yaml', 'kind: Foo', 'containerz: []', 'get pods -l demo=st -o json',
      'describe pod st-crash', 'describe pod st-oom\n', 'describe pod st-oom2', 'describe pod st-pull', 'describe pod st-half', 'describe pod st-evicted', 'describe pod st-init1', 'describe pod st-done', 'delete pod st-half --force', 'kubectl\n', 'kubectl frobnicate',
      'kubectl gett pods', 'kubectl create\n', 'create deployment\n', 'create deployment x\n', 'wait --for=condition=Ready pod/db-0', 'kustomize /nosuch'].map((cmd) => [cmd, CLIENT] as const),
    ...['api-versions', 'api-resources', 'get componentstatuses', 'describe pod $(kubectl get pods -l app=web', 'describe svc kubernetes', '{.items[0].metadata.name}") -o yaml', 'describe pod solo', 'describe pod -l app=api; ', 'kubectl apply -f pend.yaml', 'describe pod big',
      'describe pod sel | tail', 'describe pod cmref', 'describe ds ds; ', 'get --raw /version'].map((cmd) => [cmd, SERVER] as const),
    ...['get events --sort-by', 'logs solo', 'exec solo -- ls', 'cp solo:/a', 'kubectl get pods\n', 'describe pod volref', 'delete pod $(kubectl get pods', 'delete rs -l app=web', 'get events | head', 'get pods -v=6', '--server-print=false', '--chunk-size=1'].map((cmd) => [cmd, MACHINE] as const),
  ],
};

describe('kubectl as recorded, through the terminal', () => {
  it.each(Object.keys(MISSES))('%s', (name) => {
    const lines = readTranscript(new URL(`${name}.jsonl`, import.meta.url));
    const result = replayTranscript({ scenario: `recorded/${name}`, lines, normal: (text) => normal(text), pause: (_line, i) => pauseAfter(name, i), before: (_line, i, world) => between(name, i, lines, world) });
    report(name, result);
    expect(unexplained(result, MISSES[name]!)).toEqual([]);
    const machine = result.differ.filter(({ cmd }) => !MISSES[name]!.some(([part, why]) => `${cmd}\n`.includes(part) && why.startsWith('version')));
    expect(machine.length / lines.length).toBeLessThan(0.15);
  });
});
