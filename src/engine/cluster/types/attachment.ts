/** Names that both the control plane and the kubelet make of a driver's volume. Source: pkg/volume/csi/csi_attacher.go getAttachmentName, csi_util.go. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { bytes } from '../../sim/text.ts';

const hash = (text: string): string => bytesToHex(sha256(bytes(text)));

/** Of the VolumeAttachment of a volume on a node. */
export const attachmentName = (driver: string, handle: string, node: string): string => `csi-${hash(`${handle}${driver}${node}`)}`;

/** As a node's status lists it among the attached and those in use. */
export const uniqueName = (driver: string, handle: string): string => `kubernetes.io/csi/${driver}^${handle}`;

/** The directory where a volume is mounted once a node. */
export const globalMount = (driver: string, handle: string): string => `/var/lib/kubelet/plugins/kubernetes.io/csi/${driver}/${hash(handle)}/globalmount`;
