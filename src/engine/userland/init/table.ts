/** init, getty and the service manager's tools by install path. */
import type { ProgramTable } from '../programs.ts';
import { cgls } from './cgls.ts';
import { cgtop } from './cgtop.ts';
import { getty } from './getty.ts';
import { initProgram } from './init.ts';
import { journalctl } from './journal.ts';
import { systemdRun } from './run.ts';
import { power, systemctl } from './systemctl.ts';

export const init: ProgramTable = {
  '/usr/sbin/init': initProgram, '/usr/sbin/agetty': getty, '/usr/bin/systemctl': systemctl, '/usr/bin/journalctl': journalctl, '/usr/bin/systemd-cgls': cgls, '/usr/bin/systemd-cgtop': cgtop, '/usr/bin/systemd-run': systemdRun,
  '/usr/sbin/poweroff': power, '/usr/sbin/reboot': power, '/usr/sbin/halt': power, '/usr/sbin/shutdown': power,
};
