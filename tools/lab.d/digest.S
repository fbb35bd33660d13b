# What iPXE boots in `tools/lab firmware`: a multiboot image that prints the CRC-32 of all of itself
# to the serial port, because iPXE has no command for that. Random bytes follow this code in the
# file. The lab writes the length of the file to `size`.

	.code32
	.set	base, 0x100000
	.set	table, 0x10000
	.set	stack, 0x9000
	.set	serial, 0x3f8

begin:	.long	0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
	.long	base, base, 0, 0, base + entry - begin
size:	.long	0

entry:	cli
	movl	$stack, %esp
	xorl	%ecx, %ecx
1:	movl	%ecx, %eax			# table[ecx]
	movl	$8, %edx
2:	shrl	%eax
	jnc	3f
	xorl	$0xedb88320, %eax
3:	decl	%edx
	jnz	2b
	movl	%eax, table(, %ecx, 4)
	incl	%ecx
	cmpl	$256, %ecx
	jb	1b

	movl	$base, %esi
	movl	base + size - begin, %ecx
	movl	$-1, %ebx
4:	movzbl	(%esi), %edx
	xorb	%bl, %dl
	shrl	$8, %ebx
	xorl	table(, %edx, 4), %ebx
	incl	%esi
	decl	%ecx
	jnz	4b
	notl	%ebx

	movl	$base + text - begin, %esi
5:	movb	(%esi), %cl
	incl	%esi
	testb	%cl, %cl
	jz	6f
	call	put
	jmp	5b
6:	movl	$8, %edi
7:	roll	$4, %ebx
	movl	%ebx, %ecx
	andl	$15, %ecx
	movb	base + digits - begin(%ecx), %cl
	call	put
	decl	%edi
	jnz	7b
	movb	$10, %cl
	call	put
8:	hlt
	jmp	8b

put:	movl	$serial + 5, %edx		# the character in cl
9:	inb	%dx, %al
	testb	$0x20, %al
	jz	9b
	movl	$serial, %edx
	movb	%cl, %al
	outb	%al, %dx
	ret

text:	.asciz	"\r\ncrc32 "
digits:	.ascii	"0123456789abcdef"
