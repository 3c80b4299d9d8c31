/** kubectl drain against budgets, bare pods, daemons and local storage: what it prints, how it ends, what it leaves. */
import { describe, expect, it } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { createTypist, line, type Typist, waitForPrompt } from '../../../src/engine/world/typist.ts';
import { createWorld } from '../../../src/engine/world/world.ts';

function lab(...before: string[]): (words: string) => string {
  const typist: Typist = createTypist(createWorld(loadAssets(), 'cluster-2', 1));
  waitForPrompt(typist);
  for (const words of before) line(typist, words);
  return (words) => {
    const done = line(typist, words)!;
    return `${done.stdout}${done.stderr === '' ? '' : `--- stderr\n${done.stderr}`}--- ${done.exit}\n`;
  };
}

const one = 'kubectl run lone --image=nginx --overrides=\'{"spec":{"nodeName":"hollow-1"}}\'';

describe('kubectl drain', () => {
  it('asks again while a budget says no, and gives up at its timeout', () => {
    const sh = lab('kubectl create deployment web --image=nginx --replicas=2', 'kubectl create pdb web --selector=app=web --max-unavailable=0', 'sleep 6');
    const pod = /web-\S+/.exec(sh('kubectl get pods --field-selector spec.nodeName=hollow-1 -o name'))![0];
    const refused = `error when evicting pods/"${pod}" -n "default" (will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget.\n`;
    const timedOut = `error when evicting pods/"${pod}" -n "default": global timeout reached: 7s`;
    expect(sh('kubectl drain hollow-1 --timeout=7s')).toBe(
      `node/hollow-1 cordoned\n${`evicting pod default/${pod}\n`.repeat(3)}--- stderr\n${refused.repeat(2)}There are pending pods in node "hollow-1" when an error occurred: ${timedOut}\npod/${pod}\n`
      + `error: unable to drain node "hollow-1" due to error: ${timedOut}, continuing command...\nThere are pending nodes to be drained:\n hollow-1\n${timedOut}\n--- 1\n`,
    );
    sh('kubectl delete pdb web');
    expect(sh('kubectl drain hollow-1')).toBe(`node/hollow-1 already cordoned\nevicting pod default/${pod}\npod/${pod} evicted\nnode/hollow-1 drained\n--- 0\n`);
  });

  it('refuses what would be lost, each reason once, and leaves it', () => {
    const volumes = 'kubectl run scratch --image=nginx --overrides=\'{"spec":{"nodeName":"hollow-1","volumes":[{"name":"v","emptyDir":{}}]}}\'';
    const sh = lab(one, volumes, 'sleep 4');
    const bare = 'cannot delete cannot delete Pods that declare no controller (use --force to override): default/lone';
    const local = 'cannot delete Pods with local storage (use --delete-emptydir-data to override): default/scratch';
    expect(sh('kubectl drain hollow-1')).toBe(
      `node/hollow-1 cordoned\n--- stderr\nerror: unable to drain node "hollow-1" due to error: [${bare}, ${local}], continuing command...\nThere are pending nodes to be drained:\n hollow-1\n${bare}\n${local}\n--- 1\n`,
    );
    expect(sh('kubectl get pods --no-headers | wc -l')).toContain('2\n');
    expect(sh('kubectl drain hollow-1 --force --delete-emptydir-data --dry-run=client')).toBe(
      'node/hollow-1 already cordoned (dry run)\nevicting pod default/lone (dry run)\nevicting pod default/scratch (dry run)\nnode/hollow-1 drained (dry run)\n--- stderr\nWarning: deleting Pods that declare no controller: default/lone, default/scratch\n--- 0\n',
    );
    expect(sh('kubectl drain hollow-1 --force --delete-emptydir-data --grace-period=0')).toMatch(/pod\/lone evicted\npod\/scratch evicted\nnode\/hollow-1 drained/);
    expect(sh('kubectl get pods')).toContain('No resources found');
  });

  it('leaves daemons alone when told to', () => {
    const sh = lab("printf 'apiVersion: apps/v1\\nkind: DaemonSet\\nmetadata: {name: agent}\\nspec:\\n  selector: {matchLabels: {app: agent}}\\n  template:\\n    metadata: {labels: {app: agent}}\\n    spec: {containers: [{name: c, image: nginx}]}\\n' | kubectl apply -f -", 'sleep 4');
    const pod = /agent-\S+/.exec(sh('kubectl get pods --field-selector spec.nodeName=hollow-2 -o name'))![0];
    expect(sh('kubectl drain hollow-2')).toContain(`cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): default/${pod}, continuing command...`);
    expect(sh('kubectl drain hollow-2 --ignore-daemonsets')).toBe(`node/hollow-2 already cordoned\nnode/hollow-2 drained\n--- stderr\nWarning: ignoring DaemonSet-managed Pods: default/${pod}\n--- 0\n`);
    expect(sh('kubectl get pods --no-headers | grep -c Running')).toContain('2\n');
  });
});
