/**
 * Storage from the claim to the disk on machines with kernels: a StatefulSet's volume is made, attached, formatted, mounted, moved with its
 * data, grown, shared by nobody, and given back; drivers' calls are in their logs; what cannot be says why.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { VolumeRow } from '../../../src/bridge/rows.ts';
import { loadAssets } from '../../../src/cli/assets.ts';
import { putFile } from '../../../src/engine/kernel/vfs/build.ts';
import { bytes } from '../../../src/engine/sim/text.ts';
import { volumes } from '../../../src/engine/views/volumes.ts';
import { createTypist, script, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { createWorld, type World } from '../../../src/engine/world/world.ts';

let world: World;
let typist: ReturnType<typeof createTypist>;

/** Types lines one after another; what each printed. */
function type(...lines: string[]): string[] {
  const said: string[] = [];
  waitForPrompt(typist);
  script(typist, lines, (one) => said.push(one.stdout + one.stderr));
  return said;
}
const row = (claim: string): VolumeRow => (volumes.rows(world, {}) as VolumeRow[]).find((one) => one.claim === claim)!;

const SET = `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 1
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Retain}
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {fsGroup: 2000}
      containers:
      - {name: c, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "hostname >> /data/log; exec sleep 10000"], volumeMounts: [{name: data, mountPath: /data}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], storageClassName: disk, resources: {requests: {storage: 1Gi}}}
`;

beforeAll(() => {
  world = createWorld(loadAssets(), 'storage', 1);
  typist = createTypist(world);
  waitForPrompt(typist);
  putFile(world.host, '/root/db.yaml', bytes(SET));
  type('sleep 10', 'kubectl apply -f db.yaml', 'sleep 8');
}, 120_000);

describe('a volume of a driver', () => {
  let first = '';

  it('is made, attached, mounted once a node and bound into the pod', () => {
    const one = row('default/data-db-0');
    first = one.node;
    expect(one).toMatchObject({ class: 'disk', phase: 'Bound', claimPhase: 'Bound', modes: 'RWO', size: 2 ** 30, pods: 'db-0', attachment: `${first} attached`, device: '/dev/vdb', tied: false, bytes: 4096, moves: 0 });
    expect(one.mounts.split(',')[0]).toMatch(/^\/var\/lib\/kubelet\/plugins\/kubernetes\.io\/csi\/disk\.csi\.nestbox\.dev\/[0-9a-f]{64}\/globalmount$/);
    expect(one.mounts.split(',')[1]).toMatch(/^\/var\/lib\/kubelet\/pods\/[0-9a-f-]{36}\/volumes\/kubernetes\.io~csi\/pvc-[0-9a-f-]{36}\/mount$/);
    const [lsblk, blkid, inside, group] = type(`ssh ${first} lsblk -o NAME,SIZE,FSTYPE`, `ssh ${first} blkid /dev/vdb`, 'kubectl exec db-0 -- df -m /data', "kubectl exec db-0 -- stat -c '%g %a' /data");
    expect(lsblk).toContain('vdb      1G ext4');
    expect(blkid).toMatch(/^\/dev\/vdb: UUID="[0-9a-f-]{36}" BLOCK_SIZE="4096" TYPE="ext4"/);
    expect(inside).toMatch(/\/dev\/vdb +97\d +/);
    expect(group!.trim()).toBe('2000 2775');
  }, 60_000);

  it('is told to the API, and its calls are in the logs of the driver', () => {
    const [csi, va, logs, node] = type('kubectl get csinodes', 'kubectl get volumeattachments', 'kubectl logs -n kube-system deploy/csi-disk-controller -c csi-disk', `kubectl get node ${first} -o jsonpath='{.status.volumesAttached[0].name} {.status.volumesInUse[0]}'`);
    expect(csi).toMatch(/node-1 +1 +/);
    expect(va).toMatch(new RegExp(`csi-[0-9a-f]{64} +disk\\.csi\\.nestbox\\.dev +pvc-[0-9a-f-]{36} +${first} +true`));
    expect(logs!.match(/GRPC call: \S+/g)!.slice(-2)).toEqual(['GRPC call: /csi.v1.Controller/CreateVolume', 'GRPC call: /csi.v1.Controller/ControllerPublishVolume']);
    const name = `kubernetes.io/csi/disk.csi.nestbox.dev^${row('default/data-db-0').handle}`;
    expect(node).toBe(`${name} ${name}`);
  }, 60_000);

  it('follows its pod to another node with what is on it', () => {
    const said = type(`kubectl cordon ${first}`, 'kubectl delete pod db-0', 'sleep 8', 'kubectl exec db-0 -- cat /data/log', 'kubectl get events --field-selector involvedObject.name=db-0', `ssh ${first} lsblk`, `kubectl uncordon ${first}`);
    expect(said[3]).toBe('db-0\ndb-0\n');
    expect(said[4]).toContain('AttachVolume.Attach succeeded for volume "pvc-');
    expect(said[5]).not.toContain('vdb');
    expect(row('default/data-db-0')).toMatchObject({ moves: 1 });
    expect(row('default/data-db-0').node).not.toBe(first);
  }, 60_000);

  it('grows while it is used', () => {
    const said = type(`kubectl patch pvc data-db-0 -p '{"spec":{"resources":{"requests":{"storage":"3Gi"}}}}'`, 'sleep 15', 'kubectl get pvc data-db-0', 'kubectl exec db-0 -- df -m /data', 'kubectl get events --field-selector involvedObject.name=data-db-0');
    expect(said[2]).toMatch(/data-db-0 +Bound +pvc-\S+ +3Gi +RWO +disk/);
    expect(said[3]).toMatch(/\/dev\/vdb +29\d\d /);
    for (const reason of ['Resizing', 'FileSystemResizeRequired', 'FileSystemResizeSuccessful']) expect(said[4]).toContain(reason);
  }, 60_000);

  it('goes with its set, whose policy says so', () => {
    type('kubectl delete sts db', 'sleep 12');
    expect(volumes.rows(world, {})).toEqual([]);
    expect(world.blocks!.volumes.size).toBe(0);
    expect(world.blocks!.gone[0]!.history.map((h) => h.what.replace(/node-\d/, 'N'))).toEqual(['created, 1 GiB', 'attached to N as /dev/vdb', 'detached from N', 'attached to N as /dev/vdb', 'grown to 3 GiB', 'detached from N', 'deleted']);
  }, 60_000);
});

describe('what cannot be', () => {
  it.each([
    ['100Gi', 'ReadWriteOnce', 'disk', 'rpc error: code = ResourceExhausted desc = pool exhausted: 107374182400 bytes asked, 68719476736 of 68719476736 free'],
    ['1Gi', 'ReadWriteMany', 'disk', 'rpc error: code = InvalidArgument desc = Volume capabilities not supported: access mode MULTI_NODE_MULTI_WRITER: a volume can be attached to one node at a time'],
    ['1Gi', 'ReadWriteMany', 'local-path', 'NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes'],
  ])('a claim of %s %s %s', (size, mode, sc, says) => {
    const said = type(`sed 's/1Gi/${size}/; s/ReadWriteOnce/${mode}/; s/local-path/${sc}/' keeper.yaml | kubectl apply -f -`, 'sleep 6', 'kubectl get events --field-selector involvedObject.name=data,reason=ProvisioningFailed', 'kubectl delete -f keeper.yaml', 'sleep 1');
    expect(said[2]).toContain(`failed to provision volume with StorageClass "${sc}": ${says}`);
  }, 60_000);
});
