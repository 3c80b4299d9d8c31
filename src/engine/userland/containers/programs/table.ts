/** Programs that only images hold, by name; the host has them too, under the paths that images use. */
import type { ProgramTable } from '../../programs.ts';
import { csiAttacher } from '../../kube/csi/attacher.ts';
import { csiDisk } from '../../kube/csi/driver.ts';
import { localPath } from '../../kube/csi/localpath.ts';
import { csiProvisioner } from '../../kube/csi/provisioner.ts';
import { csiRegistrar } from '../../kube/csi/registrar.ts';
import { csiResizer } from '../../kube/csi/resizer.ts';
import { helloApp } from './hello-app.ts';
import { nginx } from './nginx.ts';
import { redisCli, redisServer } from './redis.ts';
import { registry } from './registry.ts';
import { burn, hello, hog, pause } from './small.ts';
import { stress } from './stress.ts';
import { wl } from './wl.ts';

const AT = '/usr/lib/nestbox/images';

export const imagePrograms: ProgramTable = {
  [`${AT}/pause`]: pause, [`${AT}/hello`]: hello, [`${AT}/hello-app`]: helloApp, [`${AT}/nginx`]: nginx, [`${AT}/redis-server`]: redisServer, [`${AT}/redis-cli`]: redisCli, [`${AT}/registry`]: registry,
  [`${AT}/csi-disk`]: csiDisk, [`${AT}/csi-provisioner`]: csiProvisioner, [`${AT}/csi-attacher`]: csiAttacher, [`${AT}/csi-resizer`]: csiResizer, [`${AT}/csi-node-driver-registrar`]: csiRegistrar, [`${AT}/local-path-provisioner`]: localPath,
  '/usr/bin/stress': stress, '/usr/bin/hog': hog, '/usr/bin/burn': burn, '/usr/bin/wl': wl,
};
