/** init, getty and the service manager's tools by install path. */
import type { ProgramTable } from '../programs.ts';
import { systemdAnalyze } from './analyze.ts';
import { cgls } from './cgls.ts';
import { cgtop } from './cgtop.ts';
import { systemdEscape } from './escape.ts';
import { getty } from './getty.ts';
import { initProgram } from './init.ts';
import { journalctl } from './journalctl.ts';
import { hostnamectl, loginctl, timedatectl } from './machinectl.ts';
import { systemdRun } from './run.ts';
import { power, systemctl } from './systemctl.ts';
import { systemdCat, systemdTmpfiles } from './tmpfiles.ts';

export const init: ProgramTable = {
  '/usr/sbin/init': initProgram, '/usr/sbin/agetty': getty, '/usr/bin/systemctl': systemctl, '/usr/bin/journalctl': journalctl, '/usr/bin/systemd-cgls': cgls, '/usr/bin/systemd-cgtop': cgtop, '/usr/bin/systemd-run': systemdRun,
  '/usr/bin/systemd-analyze': systemdAnalyze, '/usr/bin/systemd-escape': systemdEscape, '/usr/bin/systemd-cat': systemdCat, '/usr/bin/systemd-tmpfiles': systemdTmpfiles, '/usr/bin/hostnamectl': hostnamectl, '/usr/bin/timedatectl': timedatectl, '/usr/bin/loginctl': loginctl,
  '/usr/sbin/poweroff': power, '/usr/sbin/reboot': power, '/usr/sbin/halt': power, '/usr/sbin/shutdown': power,
};
