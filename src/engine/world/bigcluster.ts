/** Work for a big cluster of hollow nodes: Deployments of three teams and a platform, of all QoS classes, that together ask for a number of pods. */
import { create } from '../cluster/api.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { kindNamed } from '../cluster/types/kinds.ts';
import type { Json } from '../cluster/types/objects.ts';

const SPACES = ['shop', 'search', 'media', 'platform'];
const PARTS = ['web', 'api', 'worker', 'cache', 'queue', 'index', 'mail', 'report'];
/** Requests and limits by turns: Burstable, Guaranteed, BestEffort. */
const SIZES: readonly Json[] = [
  { requests: { cpu: '100m', memory: '256Mi' } },
  { requests: { cpu: '50m', memory: '128Mi' }, limits: { cpu: '50m', memory: '128Mi' } },
  { requests: { cpu: '150m', memory: '384Mi' }, limits: { memory: '512Mi' } },
  {},
];
const MOST_REPLICAS = 400;

export function fillCluster(cluster: Cluster, pods: number): void {
  for (const name of SPACES) create(cluster, kindNamed('Namespace'), undefined, { metadata: { name } });
  for (let n = 0, left = pods; left > 0; n++) {
    const replicas = Math.min(left, 20 + ((n * 97) % (MOST_REPLICAS - 20)));
    left -= replicas;
    const name = `${PARTS[n % PARTS.length]}-${Math.floor(n / PARTS.length) + 1}`;
    const labels = { app: name };
    create(cluster, kindNamed('Deployment'), SPACES[n % SPACES.length], {
      metadata: { name, labels },
      spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'nginx', resources: SIZES[n % SIZES.length] }] } } },
    });
  }
}
