; nest-pv: nest for a hypervisor that it knows. The same files but one: nest/paravirt.asm stands where nest/native.asm does.
; Wants 20 MiB at least: the tables that a domain begins with lie in its last frames.

%define PV
%include "nest.asm"
