# Entry point of the forwarding DLL of the test bed: nothing to prepare, always ready.
        .text
        .globl DllMainCRTStartup
DllMainCRTStartup:
        movl $1, %eax
        ret
