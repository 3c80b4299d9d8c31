/** Failures that people stage, and what becomes of them: a node that loses its power, a disk that is full, a wire that is cut. */
import { describe, expect, it } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { rank } from '../../../src/engine/userland/kube/eviction.ts';
import { createTypist, line, type Typist, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { advance, createWorld } from '../../../src/engine/world/world.ts';

function cluster(): { run: (command: string) => string; wait: (seconds: number) => void } {
  const world = createWorld(loadAssets(), 'three-nodes');
  const typist: Typist = createTypist(world, { until: Number.MAX_SAFE_INTEGER, expired: () => false });
  const wait = (seconds: number): void => advance(world, world.timeline.now + seconds * SECOND);
  waitForPrompt(typist);
  wait(5);
  const run = (command: string): string => {
    const done = line(typist, command)!;
    return done.stdout + done.stderr;
  };
  return { wait, run };
}

const STATUS = "kubectl get pods -l app=web --no-headers -o custom-columns=N:.spec.nodeName,P:.status.phase,D:.metadata.deletionTimestamp";

describe('failures', () => {
  it('a node without power is not ready after 40 s, loses its pods 300 s later, and comes back', () => {
    const { run, wait } = cluster();
    run('kubectl create deployment web --image=nginx --replicas=3');
    wait(6);
    expect(run('ssh node-1 poweroff -f')).toBe('Connection to node-1 closed by remote host.\n');
    expect(run('ipmitool -H node-1-bmc chassis power status')).toBe('Chassis Power is off\n');
    wait(25);
    expect(run('kubectl get node node-1 --no-headers')).toMatch(/ Ready /);
    wait(30);
    expect(run('kubectl get node node-1 --no-headers')).toMatch(/ NotReady /);
    expect(run("kubectl get node node-1 -o jsonpath='{.spec.taints[*].key}'")).toContain('node.kubernetes.io/unreachable');
    wait(310);
    const lost = run(STATUS).split('\n').filter((l) => l.startsWith('node-1'));
    expect(lost).toHaveLength(1);
    expect(lost[0]).not.toContain('<none>');
    expect(run(STATUS).split('\n').filter((l) => /^node-[23] +Running +<none>/.test(l))).toHaveLength(3);
    run('ipmitool -H node-1-bmc chassis power on');
    wait(30);
    expect(run('kubectl get node node-1 --no-headers')).toMatch(/ Ready /);
    expect(run(STATUS)).not.toContain('node-1');
  }, 120_000);

  it('a machine that restarts runs its pods again, and counts that', () => {
    const { run, wait } = cluster();
    run(`kubectl run p --image=nginx --overrides='{"spec":{"nodeName":"node-2"}}'`);
    wait(6);
    run('ssh node-2 systemctl restart kubelet');
    wait(5);
    expect(run('kubectl get pod p --no-headers')).toMatch(/^p +1\/1 +Running +0 /);
    run('ssh node-2 reboot');
    wait(30);
    expect(run('kubectl get pod p --no-headers')).toMatch(/^p +1\/1 +Running +1 \(\d+s ago\)/);
    expect(run("kubectl get pod p -o jsonpath='{.status.containerStatuses[0].lastState.terminated.exitCode}'")).toBe('255');
  }, 120_000);

  it('a full disk puts pods out, and keeps others away', () => {
    const { run, wait } = cluster();
    run(`kubectl run p --image=nginx --overrides='{"spec":{"nodeName":"node-3"}}'`);
    wait(6);
    run('ssh node-3 fallocate -l 19G /big');
    wait(25);
    expect(run("kubectl get pod p -o jsonpath='{.status.phase} {.status.reason} {.status.message}'")).toMatch(/^Failed Evicted The node was low on resource: ephemeral-storage\. Threshold quantity: 3072Mi, available: \d+Ki\. /);
    expect(run("kubectl get node node-3 -o jsonpath='{.spec.taints[*].key}'")).toBe('node.kubernetes.io/disk-pressure');
  }, 120_000);
});

describe('who is put out', () => {
  const one = (name: string, usage: number, request: number, priority = 0) => ({ held: { pod: { metadata: { name, uid: name }, spec: { priority } } } as never, usage, request });
  it.each([
    ['more than asked for first', [one('a', 50, 100), one('b', 20, 10)], 'b'], ['then lower priority', [one('a', 200, 10, 5), one('b', 20, 10, 1)], 'b'], ['then most beyond', [one('a', 200, 150), one('b', 180, 10)], 'b'],
  ])('%s', (_what, all, first) => expect((rank(all)[0]!.held as { pod: { metadata: { name: string } } }).pod.metadata.name).toBe(first));
});
