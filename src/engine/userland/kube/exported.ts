/** An export of a cluster as files: manifests for a real one, a kind configuration, KWOK's nodes, what to do with them. */
import type { Json } from '../../cluster/types/objects.ts';
import { toYaml } from './kubectl/yaml.ts';

/** Names and contents, from what the API server's export gives. */
export function exportedFiles(exported: Json): [name: string, content: string][] {
  const many = (objects: Json[]): string => objects.map((o) => toYaml(o)).join('---\n');
  return [['manifests.yaml', many(exported.manifests)], ['kind.yaml', toYaml(exported.kind)], ['kwok.yaml', many(exported.kwok)], ['README.txt', exported.readme]];
}
