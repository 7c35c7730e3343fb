from cnnlab.report.command import main

main()
