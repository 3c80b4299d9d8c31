/**
 * The state in which the runc transcript began: a plain machine with a busybox root at /oci/rootfs (hog added) and the
 * configuration that `runc spec` writes. Between recorded lines the configuration was edited; the states it took are
 * /oci/states/NAME.json.
 */
import type { ScenarioSpec } from '../scenario.ts';
import type { Tree } from '../../kernel/vfs/build.ts';
import { MiB } from '../../sim/units.ts';
import { APPLETS } from '../../userland/containers/images.ts';
import { exampleSpec, type Spec } from '../../userland/containers/runc/spec.ts';
import { plainMachine } from './namespaces.ts';

const LOOK =
  'echo hello; hostname; id; ps; cat /proc/1/cgroup; ls -l /proc/self/ns; grep -E "Cap|NoNew|Seccomp" /proc/self/status; mount; ls /dev; ip addr';

function configured(args: string[], change: (s: Spec) => void = () => {}): Spec {
  const spec = exampleSpec();
  spec.process.terminal = false;
  spec.process.args = args;
  change(spec);
  return spec;
}

const limited = (args: string[], resources: Spec['linux']['resources']): Spec =>
  configured(args, (s) => {
    s.linux.resources = { ...s.linux.resources, ...resources };
  });

/** What config.json became before the recorded line that names it in the test. */
const STATES: Readonly<Record<string, Spec>> = {
  look: configured(['sh', '-c', LOOK], (s) => {
    s.root.readonly = false;
  }),
  seven: configured(['sh', '-c', 'exit 7']),
  nosuch: configured(['nosuch']),
  directory: configured(['/etc']),
  sleep: configured(['sleep', '300']),
  'memory-in-shell': limited(['sh', '-c', 'hog 50; echo rc=$?'], { memory: { limit: 20 * MiB } }),
  memory: limited(['hog', '50'], { memory: { limit: 20 * MiB } }),
  pids: limited(['sh', '-c', 'sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait'], { pids: { limit: 3 } }),
  tiny: limited(['true'], { memory: { limit: MiB } }),
  'read-only': configured(['sh', '-c', 'touch /x; echo rc=$?']),
  quota: limited(['true'], { cpu: { quota: 10, period: 100000 } }),
};

function files(): Tree {
  const tree: Tree = { '/oci/config.json': { type: 'file', data: JSON.stringify(exampleSpec(), null, '\t') } };
  for (const [name, spec] of Object.entries(STATES)) tree[`/oci/states/${name}.json`] = { type: 'file', data: JSON.stringify(spec, null, '\t') };
  for (const dir of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp']) tree[`/oci/rootfs/${dir}`] = { type: 'dir' };
  tree['/oci/rootfs/bin/busybox'] = { type: 'program', name: 'busybox' };
  tree['/oci/rootfs/bin/hog'] = { type: 'program', name: 'hog' };
  for (const applet of APPLETS) tree[`/oci/rootfs/bin/${applet}`] = { type: 'link', target: 'busybox' };
  return tree;
}

export const runcScenario = (): ScenarioSpec => plainMachine('runc', files());
