/** Programs that only images hold, by name; the host has them too, under the paths that images use. */
import type { ProgramTable } from '../../programs.ts';
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
  '/usr/bin/stress': stress, '/usr/bin/hog': hog, '/usr/bin/burn': burn, '/usr/bin/wl': wl,
};
