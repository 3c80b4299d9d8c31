/** The scenario three-nodes as a person drives it: containerd, kubelets and the control plane together. */
import { describe, expect, it } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { bytes, toBase64 } from '../../../src/engine/sim/text.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { afterEvents, createTypist, line, perform, type Typist, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { advance, createWorld } from '../../../src/engine/world/world.ts';

function cluster(): { kubectl: (words: string) => string; wait: (seconds: number) => void; file: (name: string, data: string) => void } {
  const world = createWorld(loadAssets(), 'three-nodes');
  const typist: Typist = createTypist(world, { until: Number.MAX_SAFE_INTEGER, expired: afterEvents(world, 20_000_000) });
  const wait = (seconds: number): void => advance(world, world.timeline.now + seconds * SECOND);
  waitForPrompt(typist);
  wait(5);
  return {
    wait,
    kubectl(words) {
      const done = line(typist, `kubectl ${words}`)!;
      return done.stdout + done.stderr;
    },
    file: (name, data) => perform(typist, { do: 'file', name, base64: toBase64(bytes(data)) }),
  };
}

const HOG = `apiVersion: v1
kind: Pod
metadata: {name: hog}
spec:
  restartPolicy: Never
  containers:
  - name: hog
    image: stress
    command: [stress, --vm, "1", --vm-bytes, 128m]
    resources: {limits: {memory: 64Mi}}
`;

describe('three nodes', () => {
  it('become ready and run a deployment, which comes back and goes away', () => {
    const { kubectl, wait } = cluster();
    expect(kubectl('get nodes --no-headers').match(/ Ready /g)).toHaveLength(3);
    kubectl('apply -f web.yaml');
    wait(6);
    const pods = kubectl('get pods --no-headers -o wide').trim().split('\n');
    expect(pods).toHaveLength(3);
    for (const pod of pods) expect(pod).toMatch(/^web-\S+ +1\/1 +Running +0 +\S+ +10\.244\.[123]\.\d+ +node-[123]/);
    expect(kubectl(`exec ${pods[0]!.split(' ')[0]} -- cat /etc/hostname`)).toBe(`${pods[0]!.split(' ')[0]}\n`);
    const ip = kubectl('get service web -o jsonpath={.spec.clusterIP}');
    for (let i = 0; i < 4; i++) expect(kubectl(`exec ${pods[1]!.split(' ')[0]} -- wget -qO- ${ip}`)).toContain('Welcome to nginx!');
    kubectl(`delete pod ${pods[0]!.split(' ')[0]} --now`);
    wait(6);
    const after = kubectl('get pods --no-headers').trim().split('\n');
    expect(after).toHaveLength(3);
    expect(after.join('\n')).not.toContain(pods[0]!.split(' ')[0]!);
    kubectl('delete deployment web');
    wait(40);
    expect(kubectl('get pods')).toBe('No resources found in default namespace.\n');
  });

  it('say what a pod died of', () => {
    const { kubectl, wait, file } = cluster();
    file('hog.yaml', HOG);
    kubectl('apply -f uploads/hog.yaml');
    kubectl('run bad --image=busybox --restart=Never -- nosuch');
    kubectl('run none --image=nosuch');
    wait(6);
    expect(kubectl('get pod hog -o jsonpath={.status.containerStatuses[0].state.terminated.reason}')).toBe('OOMKilled');
    expect(kubectl('logs hog')).toMatch(/stress: FAIL: \[1\] \(415\) <-- worker \d+ got signal 9/);
    expect(kubectl('describe pod bad')).toContain('exec: "nosuch": executable file not found in $PATH: unknown');
    expect(kubectl('get pod none --no-headers')).toMatch(/ErrImagePull|ImagePullBackOff/);
  });
});
