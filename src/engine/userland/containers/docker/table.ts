/** docker's programs, and tar, by install path. */
import type { ProgramTable } from '../../programs.ts';
import { tar } from '../programs/tar.ts';
import { compose } from '../compose/compose.ts';
import { docker as cli } from './cli/docker.ts';
import { dockerd } from './daemon/dockerd.ts';
import { dockerInit } from './init.ts';
import { dockerProxy } from './proxy.ts';

export const docker: ProgramTable = {
  '/usr/sbin/dockerd': dockerd,
  '/usr/bin/docker': cli,
  '/usr/bin/docker-proxy': dockerProxy,
  '/usr/sbin/docker-proxy': dockerProxy,
  '/usr/bin/docker-init': dockerInit,
  '/usr/libexec/docker/cli-plugins/docker-compose': compose,
  '/usr/bin/tar': tar,
};
