/** The Dockerfiles of the lab's images with their contexts, as files of a machine. */
import type { Tree } from '../../../kernel/vfs/build.ts';
import { RECIPES } from './dockerfiles.ts';
import { fileEntry } from '../../sizes.ts';

const AT = '/usr/share/nestbox/images';

export function imageSources(): Tree {
  const tree: Tree = {};
  for (const [name, recipe] of Object.entries(RECIPES)) {
    const folder = `${AT}/${name.split('/').pop()!}`;
    tree[`${folder}/Dockerfile`] = { type: 'file', data: recipe.dockerfile, mode: 0o644 };
    for (const e of recipe.context()) {
      const path = `${folder}/${e.name}`;
      if (e.type === 'dir') tree[path] = { type: 'dir', mode: e.mode };
      else if (e.type === 'link') tree[path] = { type: 'link', target: e.target };
      else tree[path] = fileEntry(e.data, e.mode);
    }
  }
  return tree;
}
